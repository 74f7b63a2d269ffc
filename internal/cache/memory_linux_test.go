package cache

import (
	"syscall"
	"testing"
)

// mapped is memory outside the heap, in huge pages where the system has any, as the
// program hands it to its cache.
func mapped(b testing.TB, size int) func(octets int) []byte {
	const huge = 2 << 20
	m, err := syscall.Mmap(-1, 0, size+huge, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { syscall.Munmap(m) })
	syscall.Madvise(m, 14)
	return func(octets int) []byte {
		if octets > len(m) {
			return nil
		}
		var got []byte
		got, m = m[:octets:octets], m[octets:]
		return got
	}
}
