package cache

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Kind says what an entry holds.
type Kind uint8

// Kinds. Data is an RRset; NoData denies one type at a name that exists;
// NXDomain denies the name with all its types (RFC 2308 §5).
const (
	Data Kind = iota
	NoData
	NXDomain
)

// Rank is the trustworthiness of data that may be answered (RFC 2181 §5.4.1).
// Glue and referrals have none: they are never answered from.
type Rank uint8

// Ranks, ascending.
const (
	RankAuthority  Rank = iota + 1 // authority section of an authoritative answer
	RankAnswer                     // answer section of a reply that was not authoritative
	RankAuthAnswer                 // answer section of an authoritative answer
)

// Entry is what the cache stores as a whole: an RRset or a denial, with
// everything needed to answer from it.
type Entry struct {
	Kind     Kind
	Name     dnsname.Name
	Type     wire.Type // of the RRset or denied; TypeNone for NXDomain
	Rank     Rank
	Security rrset.Security
	Set      rrset.Set   // of Data
	Proof    []rrset.Set // SOA first, then the records that prove a denial or wildcard
	Cut      dnsname.Name
	TTL      uint32 // seconds to live from storing, before the cache's own bounds
	// Most is how many seconds it may live from storing, whatever the minimum of the
	// cache: as long as its signatures are valid (RFC 4035 §5.3.3), or what is past its
	// TTL may be told; 0: no such limit.
	Most uint32
	// Valid is until when the signatures are that it is secure by, with those of the
	// chain of trust above it; zero unless it is Secure, Indeterminate: verified, but
	// with something past its TTL, or an Insecure denial, which leaves out what is not
	// signed, or DS records or the denial of some in a zone that is proven not to be.
	Valid time.Time
	// Why tells why something that is signed is Insecure: 1, 2 (RFC 8914 §4.2, §4.3) or 27
	// (RFC 9276 §3.2). 0: nothing is to be told; nothing else is kept, nor with other
	// entries.
	Why ede.Code
	// Set by the cache.
	Stored, Expiry, StaleUntil clock.Mono
}

// State says what the entry is at a moment.
func (e *Entry) State(now clock.Mono) stale.State { return stale.StateOf(now, e.Expiry, e.StaleUntil) }

// Delegation is what a parent's referral taught about a cut. It is immutable
// once stored and is never answered from.
type Delegation struct {
	Cut     dnsname.Name
	Parent  dnsname.Name // the cut whose servers gave the referral
	Servers []NameServer
	TTL     uint32
	Learned clock.Mono
	Expiry  clock.Mono
}

// NameServer is a server's name with the addresses that came as glue.
type NameServer struct {
	Name  dnsname.Name
	Addrs []netip.Addr
}
