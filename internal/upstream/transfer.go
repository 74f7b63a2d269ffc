package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Transfer is a request for a zone transfer (RFC 5936, RFC 1995) to one server.
type Transfer struct {
	Server   netip.AddrPort
	TLS      string       // over TLS alone (RFC 9103), with a server whose certificate has this name
	Zone     dnsname.Name // whose entry in Options.TLSRoots says who may sign that certificate
	MaxBytes int64        // of all messages together; more is an error
	// Request appends the query with this id.
	Request func(dst []byte, id uint16) []byte
	// Take reads one message, and tells whether it was the last. It must not keep it.
	Take func(v wire.View) (done bool, err error)
}

// Bounds of a transfer, beside MaxBytes and the context.
const (
	stallTransfer = 10 * time.Second // for the connection, and for each message
	maxMessages   = 1 << 16
)

var (
	errStalled  = errors.New("no progress")
	errForeign  = errors.New("a message that belongs to another query")
	errMessages = fmt.Errorf("more than %d messages", maxMessages)
)

// Transfer asks for a zone transfer, on a connection of its own, and hands the
// messages to t.Take until the last. It ends with ctx, or when a message takes
// longer than 10 s. Nothing of it is told to infra: a server that gives no
// transfers may answer questions well.
func (u *Upstream) Transfer(ctx context.Context, t Transfer) error {
	if u.forbidden(t.Server) {
		u.counts.forbidden.Add(1)
		return errors.New("the address is on the do-not-query list")
	}
	if !u.acquire() {
		return errSockets
	}
	defer u.release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(u.lifetime, func() { cancel(net.ErrClosed) })()
	stalled := time.AfterFunc(stallTransfer, func() { cancel(errStalled) })
	defer stalled.Stop()
	err := u.transfer(ctx, &t, func() { stalled.Reset(stallTransfer) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause // it is what made the connection fail
	}
	return err
}

// transfer does it; progress is called with each message.
func (u *Upstream) transfer(ctx context.Context, t *Transfer, progress func()) error {
	tcp, err := u.opt.Network.DialTCP(ctx, t.Server)
	if err != nil {
		return fmt.Errorf("connect: %w", root(err))
	}
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(longAgo) })()
	conn := tcp
	if t.TLS != "" {
		secure := tls.Client(tcp, &tls.Config{
			ServerName: t.TLS, RootCAs: u.opt.TLSRoots[t.Zone], MinVersion: tls.VersionTLS13, // RFC 9103 §7.1
			NextProtos: []string{"dot"}, Time: u.opt.Clock.Wall,
		})
		if err := secure.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		conn = secure
	}
	var random [2]byte
	u.opt.Random(random[:])
	id := binary.BigEndian.Uint16(random[:])
	query := t.Request(make([]byte, 2, 512), id)
	binary.BigEndian.PutUint16(query, uint16(len(query)-2))
	if _, err := conn.Write(query); err != nil {
		return fmt.Errorf("over the connection: %w", root(err))
	}
	return receive(conn, t, id, progress)
}

// receive reads messages up to the last one.
func receive(conn io.Reader, t *Transfer, id uint16, progress func()) error {
	buf := make([]byte, wire.MaxMessage)
	left := t.MaxBytes
	for range maxMessages {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return fmt.Errorf("over the connection: %w", root(err))
		}
		msg := buf[:binary.BigEndian.Uint16(size[:])]
		if left -= int64(len(msg)) + 2; left < 0 {
			return fmt.Errorf("more than %d octets", t.MaxBytes)
		}
		if _, err := io.ReadFull(conn, msg); err != nil {
			return fmt.Errorf("over the connection: %w", root(err))
		}
		v, err := wire.Read(msg)
		if err != nil {
			return fmt.Errorf("malformed message: %w", err)
		}
		if v.ID() != id {
			return errForeign
		}
		if done, err := t.Take(v); done || err != nil {
			return err
		}
		progress()
	}
	return errMessages
}
