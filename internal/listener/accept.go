package listener

import (
	"errors"
	"math/rand/v2"
	"net"
	"syscall"
	"time"
)

// Bounds of the pause after accepting failed, and how often that is logged.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	warnEvery      = 10 * time.Second
)

// accept takes connections until the listener is closed. Errors slow it down:
// with no descriptor left accept fails at once, again and again.
func (l *Listener) accept(ln net.Listener) {
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			l.welcome(nc)
			continue
		}
		if l.stopping() || errors.Is(err, net.ErrClosed) {
			return
		}
		l.tcp.acceptErrors.Add(1)
		if l.warned.allow(l.clock.Now(), warnEvery) {
			l.log.Warn("cannot accept TCP connections", "address", ln.Addr().String(), "error", cause(err), "open", l.conns.len(), "advice", adviceOn(err))
		}
		if outOfFiles(err) {
			l.shed()
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if !l.pause(pause/2 + rand.N(pause)) {
			return
		}
	}
}

// adviceOn says what to do about an error of accept; there is not always something.
func adviceOn(err error) string {
	if outOfFiles(err) {
		return "idle connections are closed to make room; " + moreFiles
	}
	return "it is tried again, at most every second"
}

// outOfFiles tells whether descriptors are what is missing.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// shed closes the connection that was idle longest.
func (l *Listener) shed() {
	if c := l.conns.shed(l.clock.Now()); c != nil {
		l.tcp.displaced.Add(1)
		c.close()
	}
}

// welcome serves a connection if there is room.
func (l *Listener) welcome(nc net.Conn) {
	client := addrPort(nc.RemoteAddr()).Addr().WithZone("")
	c := newConn(l, nc, client)
	victim, ok := l.conns.add(c, l.policy.allow.contains(client))
	if victim != nil {
		l.tcp.displaced.Add(1)
		victim.close()
	}
	if !ok || l.stopping() { // Shutdown may have looked before c was there
		l.tcp.refused.Add(1)
		l.conns.remove(c)
		c.close()
		return
	}
	l.tcp.accepted.Add(1)
	l.wg.Go(c.serve)
}
