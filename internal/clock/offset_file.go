//go:build testclock && unix

package clock

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// offsetFile names the file whose first eight bytes, an int64 in the machine's
// byte order, say by how many microseconds the clock is shifted.
const offsetFile = "LASTGOOD_TEST_CLOCK"

// offset is a shared mapping of the file, so that a test outside the process
// can let days pass for it.
type offset struct {
	micros *int64 // nil when the variable is not set
}

// open maps the file. A variable that names no usable file is an error of the
// test that set it, and ends the program: going on with the real time would
// make its results lies.
func (o *offset) open() {
	name := os.Getenv(offsetFile)
	if name == "" {
		return
	}
	f, err := os.Open(name)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", offsetFile, err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < 8 {
		panic(fmt.Sprintf("%s: %s must hold 8 bytes", offsetFile, name))
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(fmt.Sprintf("%s: map %s: %v", offsetFile, name, err))
	}
	o.micros = (*int64)(unsafe.Pointer(&mem[0]))
}

func (o *offset) read() time.Duration {
	if o.micros == nil {
		return 0
	}
	return time.Duration(atomic.LoadInt64(o.micros)) * time.Microsecond
}
