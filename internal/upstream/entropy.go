package upstream

import (
	"crypto/rand"
	"sync"
)

// entropy hands out octets of crypto/rand, which it reads in larger pieces: a
// question needs a few for each of id, port and case, and a system call for
// each would cost more than the rest of composing it.
type entropy struct {
	mu   sync.Mutex
	buf  [512]byte
	left int // unused octets, at the end of buf
}

// Read fills b. What was handed out does not stay in memory.
func (e *entropy) Read(b []byte) {
	if len(b) > len(e.buf) {
		_, _ = rand.Read(b) // never fails
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left < len(b) {
		_, _ = rand.Read(e.buf[:])
		e.left = len(e.buf)
	}
	from := e.buf[len(e.buf)-e.left:][:len(b)]
	copy(b, from)
	clear(from)
	e.left -= len(b)
}
