#!/bin/bash
# python3: subprocesses, threads, temporary files, mmap, shutil, multiprocessing, compiled modules.
. "$(dirname "$0")/../support/lib.sh"
need python3
mkdir -p "$W/package"
echo 'def value(): return 42' >"$W/package/__init__.py"
echo data >"$W/package/data"
touch -d 2004-04-04 "$W/package/__init__.py"
cat >"$W/main.py" <<'PY'
import glob, mmap, multiprocessing, os, pathlib, shutil, subprocess, sys, tempfile, threading
import package

print(package.value(), os.getcwd() == os.path.realpath("."), sys.argv)
print(subprocess.run(["sh", "-c", "echo from $0; exit 4"], capture_output=True))
print(subprocess.check_output("cat package/data | tr a-z A-Z", shell=True))

def work(i):
    for k in range(20):
        path = pathlib.Path(f"out/{i}-{k}")
        path.write_text(str(i * k))
        path.rename(f"out/{i}")

os.mkdir("out")
threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(glob.glob("out/*")))
with tempfile.TemporaryDirectory() as d:
    with tempfile.NamedTemporaryFile(dir=d) as f:
        f.write(b"x" * 8192)
        f.flush()
        print(os.path.getsize(f.name), len(os.listdir(d)))
    with tempfile.TemporaryFile(dir=d) as f:
        f.write(b"anonymous")
        print(os.listdir(d))
with open("mapped", "w+b") as f:
    f.truncate(4096)
    with mmap.mmap(f.fileno(), 4096) as m:
        m[0:5] = b"hello"
print(open("mapped", "rb").read(5))
shutil.copytree("package", "copied", symlinks=True)
shutil.move("copied", "moved")
shutil.make_archive("archive", "tar", "moved")
shutil.rmtree("package/__pycache__", ignore_errors=True)
os.symlink("moved", "link")
print(os.path.realpath("link/data") == os.path.realpath("moved/data"))
for root, dirs, files in sorted(os.walk("moved")):
    print(root, sorted(d for d in dirs), sorted(f for f in files if not f.endswith(".pyc")))
with multiprocessing.Pool(4) as pool:
    print(pool.map(abs, range(-5, 0)))
fd = os.open("out", os.O_RDONLY)
print(sorted(os.listdir(fd))[:3], os.stat("0", dir_fd=fd).st_size)
print(os.access("main.py", os.W_OK), os.path.samefile("main.py", "./main.py"))
sys.exit(6)
PY
export SNAPSHOT_VOLATILE='\.pyc$|archive\.tar$'
compare 6 <<'BODY'
python3 main.py an argument
BODY
