#!/bin/bash
# A JVM: starts, compiles (where there is a compiler) and runs a program with files and threads.
LIMIT=300
. "$(dirname "$0")/../support/lib.sh"
need java
java -version >/dev/null 2>&1 || skip "java does not start natively"
cat >"$W/Main.java" <<'JAVA'
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

public class Main {
  public static void main(String[] args) throws Exception {
    Files.createDirectories(Path.of("out/sub"));
    ExecutorService pool = Executors.newFixedThreadPool(8);
    List<Future<?>> all = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      final int n = i;
      all.add(pool.submit(() -> {
        Path temporary = Path.of("out/" + n + ".new");
        Files.writeString(temporary, "n" + n);
        return Files.move(temporary, Path.of("out/" + n), StandardCopyOption.ATOMIC_MOVE);
      }));
    }
    for (Future<?> f : all) f.get();
    pool.shutdown();
    try (var list = Files.list(Path.of("out"))) { System.out.println(list.count()); }
    Files.createSymbolicLink(Path.of("link"), Path.of("out/7"));
    System.out.println(Files.readString(Path.of("link")));
    Process p = new ProcessBuilder("sh", "-c", "echo child; exit 4").start();
    System.out.println(new String(p.getInputStream().readAllBytes()).trim() + p.waitFor());
    System.exit(9);
  }
}
JAVA
if ! command -v javac >/dev/null && ! java --list-modules 2>/dev/null | grep -q jdk.compiler; then
  compare <<'BODY'
java -Xshare:auto -version 2>&1 | head -1
BODY
  exit 0
fi
export SNAPSHOT_VOLATILE='\.class$'
compare 9 <<'BODY'
if command -v javac >/dev/null; then javac Main.java && java -Xmx128m Main; else java Main.java; fi
BODY
