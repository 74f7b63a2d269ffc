//go:build unix && !solaris && !aix

package durable

import (
	"os"
	"syscall"
)

// lock takes a file for this process until it is closed or the process ends,
// however it ends. False: another one has it.
func lock(f *os.File) bool { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil }
