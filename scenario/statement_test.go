package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/simnet"
)

// What may stand beneath a statement.
type blockKind int

const (
	noBlock     blockKind = iota
	askBlock              // expectations about a reply and the world
	worldBlock            // expectations about the world
	replyBlock            // the records of a reply
	maxFlooders = 20000
)

// statement is what a verb does.
type statement struct {
	block    blockKind
	needsApp bool
	do       func(*world, *step) error
}

var statements = map[string]statement{ // constant in effect
	"server":    {noBlock, false, (*world).doServer},
	"hint":      {noBlock, false, (*world).doHint},
	"tls":       {noBlock, false, (*world).doTLS},
	"config":    {noBlock, false, (*world).doConfig},
	"at":        {noBlock, true, (*world).doAt},
	"after":     {noBlock, true, (*world).doAfter},
	"ask":       {askBlock, true, (*world).doAsk},
	"raw":       {askBlock, true, (*world).doRaw},
	"wait":      {noBlock, true, func(w *world, _ *step) error { return w.wait() }},
	"flood":     {askBlock, true, (*world).doFlood},
	"series":    {askBlock, true, (*world).doSeries},
	"mark":      {noBlock, true, (*world).doMark},
	"check":     {worldBlock, true, (*world).doCheck},
	"fault":     {noBlock, true, (*world).doFault},
	"reply":     {replyBlock, true, (*world).doReply},
	"zone":      {noBlock, true, (*world).doZone},
	"sign":      {noBlock, false, (*world).doSign},
	"ds":        {noBlock, false, (*world).doDS},
	"break":     {noBlock, false, (*world).doBreak},
	"mend":      {noBlock, false, (*world).doMend},
	"anchor":    {noBlock, false, (*world).doAnchor},
	"flush":     {noBlock, true, (*world).doFlush},
	"write":     {noBlock, true, (*world).doWrite},
	"nta":       {noBlock, true, (*world).doNTA},
	"restart":   {noBlock, true, (*world).doRestart},
	"suspend":   {noBlock, true, (*world).doSuspend},
	"set-clock": {noBlock, true, (*world).doSetClock},
	"outage":    {noBlock, true, (*world).doOutage},
	"partition": {noBlock, true, (*world).doPartition},
	"heal":      {noBlock, true, (*world).doHeal},
	"link":      {noBlock, true, (*world).doLink},
	"open":      {noBlock, true, (*world).doOpen},
	"close":     {noBlock, true, (*world).doClose},
	"closed":    {noBlock, true, (*world).doClosed},
	"replies":   {noBlock, true, (*world).doReplies},
}

// want complains about a wrong number of words.
func (st *step) want(n int, usage string) error {
	if len(st.words) != n {
		return fmt.Errorf("want: %s %s", st.verb, usage)
	}
	return nil
}

func (w *world) doServer(st *step) error {
	if err := w.addServer(st.words); err != nil {
		return err
	}
	if w.app == nil {
		return nil
	}
	return w.servers[len(w.servers)-1].start()
}

func (w *world) doHint(st *step) error {
	if err := st.want(2, "NAME ADDR[,ADDR]"); err != nil {
		return err
	}
	addrs, err := addresses(st.words[1])
	if err != nil {
		return err
	}
	name, err := dnsname.Parse(st.words[0])
	w.hints = append(w.hints, cache.NameServer{Name: name, Addrs: addrs})
	return err
}

func (w *world) doConfig(st *step) error {
	if w.app != nil {
		return errors.New("the app runs already")
	}
	w.config = append(w.config, st.words...)
	return nil
}

func (w *world) doAt(st *step) error {
	if err := st.want(1, "59s"); err != nil {
		return err
	}
	d, err := duration(st.words[0])
	if err != nil {
		return err
	}
	return w.until(d)
}

func (w *world) doAfter(st *step) error {
	if err := st.want(1, "59s"); err != nil {
		return err
	}
	d, err := duration(st.words[0])
	if err != nil {
		return err
	}
	return w.until(w.now() + d)
}

// pending is a question that nobody waits for yet.
type pending struct {
	st   *step
	from mark
	done chan []*reply
}

func (w *world) doAsk(st *step) error {
	words, behind := cutAmpersand(st.words)
	q, err := w.newQuestion(words)
	if err != nil {
		return err
	}
	return w.askOrLeave(st, q, behind)
}

func (w *world) doRaw(st *step) error {
	words, behind := cutAmpersand(st.words)
	q, err := rawQuestion(words)
	if err != nil {
		return err
	}
	return w.askOrLeave(st, q, behind)
}

func cutAmpersand(words []string) ([]string, bool) {
	if n := len(words); n > 0 && words[n-1] == "&" {
		return words[:n-1], true
	}
	return words, false
}

func (w *world) askOrLeave(st *step, q *question, behind bool) error {
	if err := w.ready(q); err != nil {
		return err
	}
	from := w.note()
	if !behind {
		return w.hold(st, from, put(q))
	}
	w.leave(&pending{st, from, make(chan []*reply, 1)}, func() []*reply { return []*reply{put(q)} })
	return nil
}

// leave asks in the background.
func (w *world) leave(p *pending, ask func() []*reply) {
	w.pending = append(w.pending, p)
	go func() { p.done <- ask() }()
	time.Sleep(time.Microsecond) // it is on its way before what follows
}

// wait takes the replies to what was left behind and holds them against what
// is expected of them.
func (w *world) wait() error {
	list := w.pending
	w.pending = nil
	var errs []error
	for _, p := range list {
		errs = append(errs, w.hold(p.st, p.from, <-p.done...))
	}
	return errors.Join(errs...)
}

// hold holds a reply against its expectations.
func (w *world) hold(st *step, from mark, replies ...*reply) error {
	o := w.since(from)
	o.replies = replies
	for _, r := range replies {
		if err := r.valid(); err != nil {
			return fmt.Errorf("%w\n%s", err, show(r))
		}
		o.reply = r
		w.trace.told(o)
		if err := w.expect(st, o); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) doFlood(st *step) error {
	if len(st.words) < 3 {
		return errors.New("want: flood N NAME TYPE [option…]")
	}
	n, err := strconv.Atoi(st.words[0])
	if err != nil || n < 1 || n > maxFlooders {
		return fmt.Errorf("%q is no number up to %d", st.words[0], maxFlooders)
	}
	from := w.note()
	done := make(chan *reply, n)
	for i := range n {
		q, err := w.newQuestion(st.words[1:])
		if err != nil {
			return err
		}
		q.from = netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + i%100)})
		if err := w.ready(q); err != nil {
			return err
		}
		go func() { done <- put(q) }()
	}
	replies := make([]*reply, n)
	for i := range replies {
		replies[i] = <-done
	}
	return w.hold(st, from, replies...)
}

func (w *world) doMark(*step) error {
	w.mark = w.note()
	return nil
}

func (w *world) doCheck(st *step) error {
	return w.expect(st, w.since(w.mark))
}

func (w *world) doFault(st *step) error {
	if len(st.words) < 2 {
		return errors.New("want: fault SERVER FAULT [zone=Z]")
	}
	s, err := w.named(st.words[0])
	if err != nil {
		return err
	}
	f, err := authority.ParseFault(st.words[1])
	if err != nil {
		return err
	}
	o, err := optionsOf(st.words[2:], "zone=")
	if err != nil || !o.has("zone") {
		s.SetServerFault(f)
		return err
	}
	zone, err := dnsname.Parse(o.vals["zone"])
	if err == nil {
		s.SetFault(zone, f)
	}
	return err
}

func (w *world) doReply(st *step) error {
	c, name, err := newCanned(st)
	if err != nil {
		return err
	}
	s, err := w.named(name)
	if err != nil {
		return err
	}
	if c.as != nil {
		other, err := w.named(cmp.Or(c.as.at, name))
		if err != nil {
			return err
		}
		c.as.server = other.Server.Server
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canned = append(s.canned, c)
	return nil
}

func (w *world) doZone(st *step) error {
	if len(st.words) < 2 || len(st.words) > 3 {
		return errors.New("want: zone ZONE FILE|none [SERVER]")
	}
	zone, err := dnsname.Parse(st.words[0])
	if err != nil {
		return err
	}
	list := w.serves(zone)
	if len(st.words) == 3 {
		s, err := w.named(st.words[2])
		if err != nil {
			return err
		}
		list = []*server{s}
	}
	if len(list) == 0 {
		return fmt.Errorf("nobody serves %s", zone)
	}
	for _, s := range list {
		if st.words[1] == "none" {
			s.RemoveZone(zone)
			delete(s.plain, zone)
			continue
		}
		if s.plain[zone], err = w.load(zone, st.words[1], false); err != nil {
			return err
		}
		if err := s.publish(zone); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) doOutage(st *step) error {
	if err := st.want(3, "NAME blackhole|refuse DURATION"); err != nil {
		return err
	}
	s, err := w.named(st.words[0])
	if err != nil {
		return err
	}
	kind, ok := map[string]simnet.OutageKind{"blackhole": simnet.Blackhole, "refuse": simnet.Refuse}[st.words[1]]
	if !ok {
		return fmt.Errorf("unknown outage %q", st.words[1])
	}
	d, err := duration(st.words[2])
	for _, a := range s.addrs {
		w.net.Outage(a, kind, 0, d)
	}
	return err
}

func (w *world) doPartition(st *step) error {
	if err := st.want(1, "NAME"); err != nil {
		return err
	}
	s, err := w.named(st.words[0])
	if err == nil {
		w.net.Partition(w.host, s.Host())
	}
	return err
}

func (w *world) doHeal(st *step) error {
	if err := st.want(1, "NAME"); err != nil {
		return err
	}
	s, err := w.named(st.words[0])
	if err == nil {
		w.net.Heal(w.host, s.Host())
	}
	return err
}

func (w *world) doLink(st *step) error {
	if len(st.words) < 2 {
		return errors.New("want: link NAME OPTION…")
	}
	s, err := w.named(st.words[0])
	if err != nil {
		return err
	}
	o, err := optionsOf(st.words[1:], "latency= jitter= loss= mtu=")
	if err != nil {
		return err
	}
	if s.link, err = linkOf(o, s.link); err == nil {
		w.net.SetLinks(w.host, s.Host(), s.link)
	}
	return err
}

func (w *world) doOpen(st *step) error {
	if len(st.words) < 1 {
		return errors.New("want: open ID [from=ADDR]")
	}
	o, err := optionsOf(st.words[1:], "from=")
	if err != nil {
		return err
	}
	q, err := questionWith(o)
	if err != nil {
		return err
	}
	if w.conns[st.words[0]] != nil {
		return fmt.Errorf("%s is open already", st.words[0])
	}
	w.conns[st.words[0]], err = dial(w.client(q.from), at(q.from))
	if err != nil {
		delete(w.conns, st.words[0])
	}
	return err
}

func (w *world) connection(id string) (*conn, error) {
	if c := w.conns[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no connection is called %s", id)
}

func (w *world) doClose(st *step) error {
	if err := st.want(1, "ID"); err != nil {
		return err
	}
	c, err := w.connection(st.words[0])
	if err == nil {
		c.close()
		delete(w.conns, st.words[0])
	}
	return err
}

// doClosed waits for the resolver to close a connection.
func (w *world) doClosed(st *step) error {
	if err := st.want(2, "ID DURATION..DURATION"); err != nil {
		return err
	}
	c, err := w.connection(st.words[0])
	if err != nil {
		return err
	}
	s, err := parseSpan(st.words[1], durationNumber)
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-c.closed:
	case <-time.After(2*time.Duration(s.hi) + time.Minute):
	}
	w.groups++
	if took := time.Since(began); !s.contains(int64(took)) {
		return fmt.Errorf("closed after %v, want %s", took, st.words[1])
	}
	return nil
}

func (w *world) doReplies(st *step) error {
	if len(st.words) < 2 {
		return errors.New("want: replies ID NAME…")
	}
	c, err := w.connection(st.words[0])
	if err != nil {
		return err
	}
	w.groups++
	got, want := strings.Join(c.replied(), " "), strings.Join(st.words[1:], " ")
	if !strings.EqualFold(got, want) {
		return fmt.Errorf("replies came in the order %s, want %s", got, want)
	}
	return nil
}
