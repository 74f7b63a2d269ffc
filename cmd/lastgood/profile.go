//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profiled runs the program and writes what its processor time went to into a new
// file of the directory that LASTGOOD_PROFILES names. `make pgo` makes default.pgo of
// such files, which the compiler reads when it builds this program.
func profiled(run func() int) int {
	name := filepath.Join(os.Getenv("LASTGOOD_PROFILES"), fmt.Sprintf("%d.pprof", os.Getpid()))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lastgood:", err)
		return 1
	}
	code := run()
	pprof.StopCPUProfile()
	if err := f.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "lastgood:", err)
		return 1
	}
	return code
}
