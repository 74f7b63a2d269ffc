package app

import (
	"reflect"
	"syscall"
)

// advisePopulate is MADV_POPULATE_WRITE, from Linux 5.14 on.
const advisePopulate = 23

// reserve gives addresses for size octets, which begin at a huge page and are zero;
// nil: there are none. They are nobody's until the process ends, see pages.
func reserve(size int) []byte {
	const flags = syscall.MAP_PRIVATE | syscall.MAP_ANON | syscall.MAP_NORESERVE
	all, err := syscall.Mmap(-1, 0, size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		return nil
	}
	all = all[-reflect.ValueOf(all).Pointer()&(hugePage-1):][:size:size]
	syscall.Madvise(all, syscall.MADV_HUGEPAGE) // without, it is slower and no less right
	return all
}

// populate has the system make the pages of a piece, and tells whether it can.
func populate(piece []byte) bool { return syscall.Madvise(piece, advisePopulate) == nil }
