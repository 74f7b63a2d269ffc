package infra

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
)

// How long what a server cannot do is believed, so that a server that got
// mended is found out.
const (
	ednsBrokenFor  = 15 * time.Minute
	manglesCaseFor = time.Hour
	noCookiesFor   = time.Hour
	wantsTCPFor    = 10 * time.Minute
	cookieFor      = 24 * time.Hour // then a new client cookie is made (RFC 7873 §7.1 wants a change now and then)
)

// EDNSState is what is known of a server's EDNS (RFC 6891).
type EDNSState uint8

// EDNS states.
const (
	EDNSUnknown EDNSState = iota
	EDNSWorks
	EDNSBroken // plain DNS is spoken, for 15 minutes
)

func (s EDNSState) String() string { return [...]string{"unknown", "works", "broken"}[s%3] }

// Cookie is what a server's COOKIE option holds (RFC 7873 §4): our client
// cookie for it, and its server cookie, 8 to 32 octets, once it gave one.
type Cookie struct {
	Client    [8]byte
	server    [32]byte
	serverLen uint8
}

// Server is the server cookie, empty when none is known. It aliases c.
func (c *Cookie) Server() []byte { return c.server[:c.serverLen] }

// Capability is how to speak to a server now.
type Capability struct {
	EDNS        EDNSState
	ManglesCase bool // its replies do not keep the question's case
	NoCookies   bool // it knows EDNS, but a COOKIE option is an error to it
	TCP         bool // UDP to it is not to be trusted
}

// capability is the same with its expiry; zero times are long past.
type capability struct {
	ednsWorks   bool
	ednsBroken  clock.Mono // until
	manglesCase clock.Mono // until
	noCookies   clock.Mono // until
	tcp         clock.Mono // until
	cookie      Cookie
	cookieUntil clock.Mono
}

// Capability tells how to speak to addr.
func (i *Infra) Capability(now clock.Mono, addr netip.AddrPort) Capability {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.addrs.peek(unmap(addr))
	if !ok {
		return Capability{}
	}
	return a.cap.at(now)
}

func (c *capability) at(now clock.Mono) Capability {
	out := Capability{ManglesCase: c.manglesCase > now, NoCookies: c.noCookies > now, TCP: c.tcp > now}
	switch {
	case c.ednsBroken > now:
		out.EDNS = EDNSBroken
	case c.ednsWorks:
		out.EDNS = EDNSWorks
	}
	return out
}

// LearnEDNS notes whether addr speaks EDNS, and tells whether that is news.
func (i *Infra) LearnEDNS(now clock.Mono, addr netip.AddrPort, works bool) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap
	was := c.at(now).EDNS
	c.ednsWorks, c.ednsBroken = works, 0
	if !works {
		c.ednsBroken = now.Add(ednsBrokenFor)
	}
	return was != c.at(now).EDNS
}

// LearnMangledCase notes that addr does not keep the case of questions.
func (i *Infra) LearnMangledCase(now clock.Mono, addr netip.AddrPort) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap
	changed = c.manglesCase <= now
	c.manglesCase = now.Add(manglesCaseFor)
	return changed
}

// LearnNoCookies notes that addr takes a COOKIE option for an error.
func (i *Infra) LearnNoCookies(now clock.Mono, addr netip.AddrPort) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap
	changed = c.noCookies <= now
	c.noCookies = now.Add(noCookiesFor)
	return changed
}

// LearnTCP notes that addr should be spoken to over TCP for a while, or that
// this cannot be had after all.
func (i *Infra) LearnTCP(now clock.Mono, addr netip.AddrPort, prefer bool) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap
	changed = c.tcp > now != prefer
	c.tcp = 0
	if prefer {
		c.tcp = now.Add(wantsTCPFor)
	}
	return changed
}

// Cookie gives the cookies for addr. fresh, 8 unpredictable octets, becomes
// the client cookie when there is none or it is a day old; so every server has
// another (RFC 9018 §3).
func (i *Infra) Cookie(now clock.Mono, addr netip.AddrPort, fresh [8]byte) Cookie {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap
	if c.cookieUntil <= now {
		c.cookie = Cookie{Client: fresh}
		c.cookieUntil = now.Add(cookieFor)
	}
	return c.cookie
}

// LearnCookie stores the server cookie that came with the client cookie of
// this jar; an empty one forgets it. Others, from before a change of ours or of
// a length that RFC 7873 §4 does not allow, are ignored.
func (i *Infra) LearnCookie(addr netip.AddrPort, client [8]byte, server []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.address(addr).cap.cookie
	if c.Client != client || len(server) > len(c.server) || 0 < len(server) && len(server) < 8 {
		return
	}
	c.serverLen = uint8(copy(c.server[:], server))
}
