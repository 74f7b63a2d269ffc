package lab

import "lastgood/internal/wire"

// Suggestion is a question worth asking in the lab.
type Suggestion struct {
	Name  string
	Type  wire.Type
	Rcode wire.Rcode // what a good resolver says that validates
	Shows string     // what there is to see, one line
}

// Suggestions lists questions to try in the world that lastgood brings along,
// the plain ones first.
func Suggestions() []Suggestion { return append([]Suggestion(nil), suggestions[:]...) }

var suggestions = [...]Suggestion{
	{"www.example.com.", wire.TypeA, wire.RcodeNoError, "the root, com., example.com.: three steps, then from the cache"},
	{"example.com.", wire.TypeMX, wire.RcodeNoError, "mail servers at home and abroad"},
	{"missing.example.com.", wire.TypeA, wire.RcodeNXDomain, "a name that does not exist"},
	{"office.example.com.", wire.TypeA, wire.RcodeNoError, "an empty non-terminal: no data, but no NXDOMAIN"},
	{"anything.wild.example.com.", wire.TypeA, wire.RcodeNoError, "a wildcard"},
	{"www.xn--bcher-kva.example.", wire.TypeTXT, wire.RcodeNoError, "a name and a text with an umlaut"},
	{"odd.example.com.", wire.Type(65280), wire.RcodeNoError, "a type that nobody knows"},

	{"one.alias.example.com.", wire.TypeA, wire.RcodeNoError, "an alias into another zone"},
	{"five.alias.example.com.", wire.TypeA, wire.RcodeNoError, "five aliases through four zones"},
	{"circle.alias.example.com.", wire.TypeA, wire.RcodeServFail, "two zones' aliases in a circle"},
	{"ghost.example.net.", wire.TypeA, wire.RcodeNXDomain, "an alias to nowhere"},
	{"www.old.example.com.", wire.TypeA, wire.RcodeNoError, "a DNAME moves the whole subtree"},
	{"www.shop.example.com.", wire.TypeA, wire.RcodeNoError, "servers named in another top-level domain, an alias, a wildcard"},
	{"www.leaf.twig.branch.tree.example.net.", wire.TypeA, wire.RcodeNoError, "six zones deep"},
	{"www.pair-a.example.com.", wire.TypeA, wire.RcodeNoError, "two zones whose servers need each other, glue at one end"},
	{"www.knot-a.example.com.", wire.TypeA, wire.RcodeServFail, "two zones whose servers need each other, glue at none"},
	{"www.disagree.example.com.", wire.TypeA, wire.RcodeNoError, "parent and child name different servers"},
	{"1.2.0.192.in-addr.arpa.", wire.TypePTR, wire.RcodeNoError, "an address back to its name"},
	{"134.113.0.203.in-addr.arpa.", wire.TypePTR, wire.RcodeNoError, "the same in a block handed down by aliases"},

	{"www.short.example.com.", wire.TypeA, wire.RcodeNoError, "lives five seconds"},
	{"zero.short.example.com.", wire.TypeA, wire.RcodeNoError, "TTL 0: asked for anew each time"},
	{"many.big.example.org.", wire.TypeA, wire.RcodeNoError, "two hundred addresses: TCP"},
	{"text.big.example.org.", wire.TypeTXT, wire.RcodeNoError, "four kilobytes of text: TCP"},

	{"www.onedead.example.com.", wire.TypeA, wire.RcodeNoError, "one of three servers is dead"},
	{"www.halflame.example.com.", wire.TypeA, wire.RcodeNoError, "one of two servers refers to the root"},
	{"www.noedns.example.net.", wire.TypeA, wire.RcodeNoError, "FORMERR to EDNS, then without"},
	{"www.mangle.example.net.", wire.TypeA, wire.RcodeNoError, "a server that gives the question back in lower case"},
	{"www.tcponly.example.org.", wire.TypeA, wire.RcodeNoError, "TC to everything over UDP"},
	{"www.v6only.example.net.", wire.TypeA, wire.RcodeNoError, "a server with an IPv6 address only"},
	{"www.a.b.entless.example.org.", wire.TypeA, wire.RcodeNoError, "NXDOMAIN for what lies between"},
	{"www.slow.example.org.", wire.TypeA, wire.RcodeNoError, "servers 200 ms away"},
	{"www.noaaaa.example.com.", wire.TypeA, wire.RcodeNoError, "silence to AAAA does not harm A"},

	{"www.dropedns.example.net.", wire.TypeA, wire.RcodeServFail, "silence to EDNS: since the flag day of 2019 nobody asks again without"},
	{"www.alldead.example.org.", wire.TypeA, wire.RcodeServFail, "all servers are dead: EDE 22"},
	{"www.lame.example.net.", wire.TypeA, wire.RcodeRefused, "delegated to servers that know nothing of it"},
	{"www.selfish.example.org.", wire.TypeA, wire.RcodeServFail, "a server that refers to itself"},
	{"www.notcp.example.org.", wire.TypeA, wire.RcodeServFail, "TC over UDP, and TCP refused"},

	{"www.corp.example.", wire.TypeA, wire.RcodeNoError, "an unsigned zone below a signed one"},
	{"www.expired.example.org.", wire.TypeA, wire.RcodeServFail, "signatures that expired: EDE 7, and with +cd an answer"},
}
