#!/bin/bash
# node: fs, fs.promises, watch, child processes, worker threads, unix sockets.
. "$(dirname "$0")/../support/lib.sh"
need node
mkdir -p "$W/dir/sub"
echo data >"$W/dir/sub/file"
cat >"$W/main.js" <<'JS'
const fs = require('fs'), cp = require('child_process'), path = require('path'), net = require('net');
const { Worker } = require('worker_threads');
(async () => {
  fs.mkdirSync('a/b/c', { recursive: true });
  await Promise.all([...Array(50).keys()].map(async i => {
    await fs.promises.writeFile(`a/${i}.new`, `${i}`);
    await fs.promises.rename(`a/${i}.new`, `a/${i}`);
  }));
  console.log((await fs.promises.readdir('a')).sort().join(' '));
  fs.renameSync('dir', 'moved');
  console.log(fs.readFileSync('moved/sub/file', 'utf8').trim(), fs.existsSync('dir'));
  fs.cpSync('moved', 'copy', { recursive: true });
  fs.rmSync('moved', { recursive: true });
  console.log(fs.realpathSync('copy/../copy') === path.resolve('copy'));
  console.log(cp.execSync('echo child; exit 0').toString().trim(), cp.spawnSync('false').status);
  const seen = new Promise(done => { const w = fs.watch('a', (e, f) => { if (f === 'watched') { w.close(); done(f); } }); });
  fs.writeFileSync('a/watched', 'x');
  console.log(await seen);
  const server = net.createServer(c => c.end('over a socket'));
  await new Promise(done => server.listen('sock', done));
  console.log(await new Promise(done => net.connect('sock').on('data', d => done(d.toString()))));
  server.close();
  const workers = [...Array(4).keys()].map(i => new Promise(done => new Worker(
    `const fs=require('fs');fs.writeFileSync('w${i}','${i}');require('worker_threads').parentPort.postMessage(fs.readFileSync('w${i}','utf8'))`,
    { eval: true }).on('message', done)));
  console.log((await Promise.all(workers)).join(','));
  const s = fs.createWriteStream('stream'); for (let i = 0; i < 1000; i++) s.write(`${i}\n`);
  await new Promise(done => s.end(done)); console.log(fs.statSync('stream').size);
  fs.symlinkSync('stream', 'link'); console.log(fs.lstatSync('link').size, fs.readlinkSync('link'));
  console.log(path.basename(process.execPath).startsWith('node'), process.cwd() === fs.realpathSync('.'));
  process.exitCode = 3;
})();
JS
compare 3 <<'BODY'
node main.js
BODY
