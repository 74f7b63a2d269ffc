package cli

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// asking is one question to one server, as a client.
type asking struct {
	server netip.AddrPort
	name   dnsname.Name
	typ    wire.Type
	tcp    bool
	dnssec bool
	norec  bool
}

// do asks over UDP, and over TCP when the reply is truncated or it was asked for.
func (a *asking) do(ctx context.Context) (message, error) {
	start := time.Now()
	via := "udp"
	var v wire.View
	var err error
	if !a.tcp {
		v, err = a.exchange(ctx, "udp")
	}
	if a.tcp || err == nil && v.TC() {
		via = "tcp"
		v, err = a.exchange(ctx, "tcp")
	}
	if err != nil {
		return message{}, a.explain(err)
	}
	m := readMessage(v)
	m.Server, m.Via = a.server.String(), via
	m.TookMS = float64(time.Since(start)) / float64(time.Millisecond)
	return m, nil
}

// explain adds a remedy to the errors that people meet.
func (a *asking) explain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: start `lastgood serve`, name another with --server, or resolve without one with --trace", a.server)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no reply from %s in time", a.server)
	}
	return fmt.Errorf("asking %s: %w", a.server, err)
}

func (a *asking) exchange(ctx context.Context, network string) (wire.View, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, a.server.String())
	if err != nil {
		return wire.View{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var id [2]byte
	rand.Read(id[:])
	query := a.build(binary.BigEndian.Uint16(id[:]))
	if network == "tcp" {
		return a.overTCP(conn, query)
	}
	if _, err := conn.Write(query); err != nil {
		return wire.View{}, err
	}
	buf := make([]byte, wire.MaxMessage)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return wire.View{}, err
		}
		if v, err := wire.Read(buf[:n]); err == nil && v.IsResponse() && v.ID() == binary.BigEndian.Uint16(id[:]) {
			return v, nil
		}
	}
}

func (a *asking) overTCP(conn net.Conn, query []byte) (wire.View, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return wire.View{}, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return wire.View{}, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return wire.View{}, err
	}
	return wire.Read(reply)
}

func (a *asking) build(id uint16) []byte {
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{ID: id, RD: !a.norec, AD: true})
	b.Question(a.name, a.typ, wire.ClassIN)
	b.OPT(wire.EDNS{UDPSize: 1232, DO: a.dnssec, Options: wire.AppendOption(nil, wire.OptionNSID, nil)}, 0)
	return b.Bytes()
}
