#!/bin/bash
# Go: the compiler and its cache in the view, and a static program with its own threads and calls.
LIMIT=400
. "$(dirname "$0")/../support/lib.sh"
need go
mkdir "$W/prog"
cat >"$W/prog/main.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	os.MkdirAll("out/deep", 0o755)
	for i := 0; i < 100; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			name := fmt.Sprintf("out/%d", i)
			if err := os.WriteFile(name+".new", []byte(name), 0o644); err != nil {
				panic(err)
			}
			if err := os.Rename(name+".new", name); err != nil {
				panic(err)
			}
		}(i)
	}
	wait.Wait()
	names, _ := filepath.Glob("out/*")
	fmt.Println(len(names))
	output, err := exec.Command("sh", "-c", "echo child; exit 3").CombinedOutput()
	fmt.Print(string(output), err, "\n")
	self, _ := os.Executable()
	fmt.Println(filepath.Base(self))
	os.RemoveAll("out/deep")
	count := 0
	filepath.WalkDir("out", func(string, os.DirEntry, error) error { count++; return nil })
	fmt.Println(count)
	os.Exit(7)
}
GO
printf 'module prog\n\ngo 1.19\n' >"$W/prog/go.mod"
export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOPROXY=off GOMAXPROCS=4
export SNAPSHOT_VOLATILE='prog/prog$' SNAPSHOT_IGNORE='home/(\.cache|go|\.config)'
compare 7 <<'BODY'
cd prog && go build -o prog . && ./prog
BODY
