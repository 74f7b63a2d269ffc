package ask

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"time"
)

const (
	patience = 2 * time.Second // then what was not answered is asked again
	tries    = 5
)

// All asks a resolver at addr over UDP for every name's address, with so many
// questions under way, and has each reply checked. It ends with the first that is
// wrong, or when a question was asked five times in vain.
func All(ctx context.Context, addr string, window int, do bool, names iter.Seq[string], check func(name string, r Reply) error) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	next, stop := iter.Pull(names)
	defer stop()
	a := &asker{conn: conn, do: do, open: map[uint16]string{}, buf: make([]byte, 4096)}
	for more := true; more || len(a.open) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		for more && len(a.open) < window {
			name, ok := next()
			if more = ok; ok {
				a.ask(name)
			}
		}
		if len(a.open) == 0 {
			break
		}
		name, r, err := a.receive()
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		if err := check(name, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// One asks for one name's address.
func One(ctx context.Context, addr, name string, do bool) (r Reply, err error) {
	names := func(yield func(string) bool) { yield(name) }
	err = All(ctx, addr, 1, do, names, func(_ string, got Reply) error { r = got; return nil })
	return r, err
}

// asker has the questions under way.
type asker struct {
	conn    net.Conn
	do      bool
	open    map[uint16]string // by id
	id      uint16
	msg     []byte
	buf     []byte
	attempt int
}

func (a *asker) ask(name string) {
	for {
		a.id++
		if _, busy := a.open[a.id]; !busy {
			break
		}
	}
	a.open[a.id] = name
	a.send(a.id, name)
}

func (a *asker) send(id uint16, name string) {
	a.msg = Append(a.msg[:0], id, name, a.do)
	_, _ = a.conn.Write(a.msg) // what is not sent is not answered, and asked again
}

// receive gives the next reply to a question that is open; an empty name when there
// was none, and all were asked again.
func (a *asker) receive() (name string, r Reply, err error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", r, err
	}
	n, err := a.conn.Read(a.buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if a.attempt++; a.attempt >= tries {
			for _, name := range a.open {
				return "", r, fmt.Errorf("%d questions stay without a reply, %s one of them", len(a.open), name)
			}
		}
		for id, name := range a.open {
			a.send(id, name)
		}
		return "", r, nil
	case err != nil:
		return "", r, err
	}
	if r, err = Parse(a.buf[:n]); err != nil {
		return "", r, err
	}
	name, ok := a.open[r.ID]
	if !ok { // it was asked twice
		return "", r, nil
	}
	delete(a.open, r.ID)
	a.attempt = 0
	return name, r, nil
}
