#!/usr/bin/env python3
"""Many processes that make, rename and remove in several directories: fuse_stress.py DIR SEED SECONDS.

Each has names of its own, in directories of all, and knows what has to be there: each call has to succeed,
and be seen at once. Beside that all of them fight about a few names, where any of the results that may be is
right. What is wrong is written to standard error; exit status 1."""
import errno, os, random, sys, time

top, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
DIRS, WORKERS = 4, 8
FIGHT = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)


def wrong(text):
    print("worker %d: %s" % (me, text), file=sys.stderr, flush=True)
    os._exit(1)


class Worker:
    def __init__(self):
        self.random = random.Random(seed * 100 + me)
        self.files = {}
        self.dirs = set()
        self.made = 0

    def place(self):
        """One of the directories of all, or one of its own."""
        own = sorted(self.dirs)
        if own and self.random.random() < 0.3:
            return self.random.choice(own)
        return "%s/d%d" % (top, self.random.randrange(DIRS))

    def name(self):
        self.made += 1
        return "%s/w%d-%d" % (self.place(), me, self.made)

    def any_file(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def create(self):
        path = self.name()
        text = "%s %d\n" % (path, self.made)
        with open(path, "x") as file:
            file.write(text)
        self.files[path] = text

    def read(self):
        path = self.any_file()
        if path and open(path).read() != self.files[path]:
            wrong("content of " + path)

    def append(self):
        path = self.any_file()
        if path:
            with open(path, "a") as file:
                file.write("more\n")
            self.files[path] += "more\n"

    def chmod(self):
        path = self.any_file()
        if path:
            mode = self.random.choice((0o600, 0o640, 0o644, 0o755))
            os.chmod(path, mode)
            if os.stat(path).st_mode & 0o777 != mode:
                wrong("mode of " + path)

    def remove(self):
        path = self.any_file()
        if path:
            os.unlink(path)
            del self.files[path]
            if os.path.exists(path):
                wrong("removed, and there: " + path)

    def rename(self):
        path = self.any_file()
        if not path:
            return
        to = self.any_file() if self.random.random() < 0.3 else self.name()
        os.rename(path, to)
        if to != path:
            self.files[to] = self.files.pop(path)
            if os.path.exists(path):
                wrong("renamed, and there: " + path)
        if open(to).read() != self.files[to]:
            wrong("content of " + to)

    def mkdir(self):
        if len(self.dirs) < 6:
            path = self.name()
            os.mkdir(path)
            self.dirs.add(path)

    def move_dir(self):
        if not self.dirs:
            return
        path, to = self.random.choice(sorted(self.dirs)), self.name()
        if to.startswith(path + "/"):
            try:
                os.rename(path, to)
                wrong("into itself: " + path)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            return
        os.rename(path, to)
        move = lambda one: to + one[len(path):] if one == path or one.startswith(path + "/") else one
        self.dirs = {move(one) for one in self.dirs}
        self.files = {move(one): text for one, text in self.files.items()}

    def rmdir(self):
        if not self.dirs:
            return
        path = self.random.choice(sorted(self.dirs))
        inside = [one for one in list(self.files) + list(self.dirs) if one.startswith(path + "/")]
        try:
            os.rmdir(path)
            if inside:
                wrong("not empty, and removed: " + path)
            self.dirs.remove(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not inside:
                raise

    def listing(self):
        place = "%s/d%d" % (top, self.random.randrange(DIRS))
        there = set(os.listdir(place))
        for path in self.files:
            if os.path.dirname(path) == place and os.path.basename(path) not in there:
                wrong("not listed: " + path)

    def fight(self):
        one = lambda: "%s/d%d/fight%d" % (top, self.random.randrange(DIRS), self.random.randrange(3))
        what = self.random.randrange(7)
        try:
            if what == 0:
                os.close(os.open(one(), os.O_RDWR | os.O_CREAT, 0o644))
            elif what == 1:
                os.rename(one(), one())
            elif what == 2:
                os.unlink(one())
            elif what == 3:
                os.mkdir(one())
            elif what == 4:
                os.rmdir(one())
            elif what == 5:
                with open(one(), "r+") as file:
                    file.write("x")
            else:
                os.stat(one())
        except OSError as error:
            if error.errno not in FIGHT:
                raise

    def run(self):
        ways = [self.create] * 4 + [self.read, self.append, self.chmod, self.listing, self.mkdir,
                                    self.move_dir, self.rmdir, self.remove] + [self.rename] * 2
        ways += [self.fight] * 5
        end = time.monotonic() + seconds
        done = 0
        while time.monotonic() < end:
            way = self.random.choice(ways)
            try:
                way()
            except OSError as error:
                wrong("%s: %s" % (way.__name__, error))
            done += 1
        for path, text in self.files.items():
            if open(path).read() != text:
                wrong("at the end: " + path)
        return done


for i in range(DIRS):
    os.mkdir("%s/d%d" % (top, i))
children = []
for me in range(WORKERS):
    child = os.fork()
    if child == 0:
        done = Worker().run()
        if os.environ.get("STRESS_COUNTS"):
            print("worker %d: %d" % (me, done), file=sys.stderr)
        os._exit(0)
    children.append(child)
status = [os.waitpid(child, 0)[1] for child in children]
sys.exit(1 if any(status) else 0)
