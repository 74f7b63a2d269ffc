package resolver

import (
	"net/netip"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

// Query is a client's question as the listener read it. Class is IN.
type Query struct {
	Name    dnsname.Name // lower case; Cached may get an alias of the listener's buffer, Resolve a name of its own
	Type    wire.Type
	RD      bool // recursion desired: without it the cache alone answers
	CD      bool // checking disabled
	AD      bool // the client understands the AD bit (RFC 6840 §5.7)
	DO      bool // the client wants signatures
	Client  netip.Addr
	Arrival clock.Mono

	// Stays: whoever asked cannot go away before the question's time is over, as over
	// UDP. Resolve may then come back later than its context ends, when the flight that
	// it runs for the client does.
	Stays bool
}

// Outcome says what the header of a reply must tell about its sections.
type Outcome struct {
	Rcode     wire.Rcode
	AA        bool // answered from the resolver's own names (RFC 6303)
	AD        bool
	Truncated bool // an RRset of answer or authority section did not fit

	Why *ede.Error // why what is signed is insecure (RFC 8914 §4.2), nil mostly
}
