package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"lastgood/internal/simnet"
)

// conn is a client's TCP connection, on which many may ask at once.
type conn struct {
	net.Conn
	writing sync.Mutex

	mu     sync.Mutex
	waits  map[uint16]chan []byte
	order  []string      // names of the replies
	closed chan struct{} // closed when the resolver closes it, or we do
}

func noDeadline() context.Context { return context.Background() }

// dial opens a connection.
func dial(from *simnet.Host, to netip.AddrPort) (*conn, error) {
	s, err := from.DialTCP(noDeadline(), to)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: s, waits: map[uint16]chan []byte{}, closed: make(chan struct{})}
	go c.read()
	return c, nil
}

// read hands replies out until the connection ends.
func (c *conn) read() {
	defer close(c.closed)
	for {
		msg, err := readFrame(c)
		if err != nil {
			return
		}
		if len(msg) < 2 {
			continue
		}
		name, _, _ := questionOf(msg)
		c.mu.Lock()
		c.order = append(c.order, name)
		if ch := c.waits[binary.BigEndian.Uint16(msg)]; ch != nil {
			ch <- msg
			delete(c.waits, binary.BigEndian.Uint16(msg))
		}
		c.mu.Unlock()
	}
}

var errClosed = errors.New("the resolver closed the connection")

// exchange sends a question and waits for the reply with its id.
func (c *conn) exchange(q *question) ([]byte, error) {
	var id uint16
	if len(q.msg) >= 2 {
		id = binary.BigEndian.Uint16(q.msg)
	}
	ch := make(chan []byte, 1)
	c.mu.Lock()
	c.waits[id] = ch
	c.mu.Unlock()
	if err := c.send(q.msg); err != nil {
		return nil, err
	}
	timer := time.NewTimer(q.timeout)
	defer timer.Stop()
	select {
	case msg := <-ch:
		return msg, nil
	case <-c.closed:
		select {
		case msg := <-ch:
			return msg, nil
		default:
			return nil, errClosed
		}
	case <-timer.C:
		return nil, errNoReply
	}
}

func (c *conn) send(msg []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err
}

func (c *conn) close() {
	_ = c.Close() // of a connection that may be gone already
	<-c.closed
}

// replied is the names of the replies so far.
func (c *conn) replied() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.order...)
}

// readFrame reads a message with its length.
func readFrame(c net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, msg)
	return msg, err
}
