// Package scenario tests the whole program: each file below this folder is a
// story that the real app (internal/app) plays on a simulated network under
// virtual time, with authorities that answer from zone files. The folder is
// named after the RFC that the story is about. docs/rfc.md maps clauses to
// files. The package holds tests only; nothing may import it.
//
//	go test ./scenario/ -run TestScenarios/rfc2308
//
// SCENARIO_TRACE=1 shows the packets of those that pass too, SCENARIO_SEED=N
// plays with another seed than a scenario's own.
//
// # A file
//
// A scenario is a txtar archive. Its comment is the script, its files are
// zones, "-- example.zone --" being that of example. (root.zone the root's),
// and perhaps the configuration, "-- lastgood.yaml --". It begins with "# "
// lines that name the clause and say what must be true:
//
//	# RFC 2308 §5: a negative answer lives for the lesser of the SOA record's
//	# TTL and its MINIMUM field.
//	server ns1.example. 192.0.2.53 example.
//	ask nope.example. A
//	  rcode NXDOMAIN
//	  ttl 60
//	after 61s
//	ask nope.example. A
//	  upstream 1
//	-- example.zone --
//	@ 3600 SOA ns1 admin 1 7200 900 1209600 60
//
// What a file leaves out is made up: the root server a.root. at 192.0.2.1
// (unless somebody serves the root); SOA and NS records of a zone that has
// none; and in the zone above each zone with servers its delegation with glue,
// unless that one names it. The resolver's hints are the servers of the root.
//
// # Statements
//
// A statement begins at the left margin; a " # " begins a comment.
//
//	server NAME ADDR[,ADDR…] [ZONE[=FILE]…] [latency=10ms] [jitter=…] [loss=…] [mtu=…] [no-hint]
//	    an authority; latency is one way; later servers may come at any time
//	tls SERVER NAME[,NAME…] [expired]
//	    the server answers over TLS too, on port 853, with a certificate for these
//	    names by an issuer in $STATE/ca.pem; again: it shows another one
//	hint NAME ADDR[,ADDR…]         another root hint, of nobody perhaps
//	config KEY=VALUE…              in place of lastgood.yaml; before the first question;
//	                               $STATE is a directory of the app's that outlives it
//	at 59s / after 5s              go on at that time since the beginning / that much later
//	ask NAME TYPE [option…] [&]    ask, and wait for the reply (not with &)
//	wait                           for all that were asked with &
//	flood N NAME TYPE [option…]    N clients ask the same at one instant
//	series N NAME TYPE [every=10ms] [option…] [&]
//	    N questions one after the other, % in the name is the number; or one in
//	    each interval, whether the last one is answered or not
//	raw HEX… [tcp|conn=ID]         send any octets
//	check                          expectations about what happened since the latest mark
//	mark                           counting for check begins here
//	fault SERVER FAULT [zone=Z]    misbehave from now on (authority.Fault), "off" ends it
//	reply SERVER NAME TYPE [times=N] [delay=D] [cut=N] [forged=N] [raw=HEX] [tail=HEX] [as=NAME[:TYPE][@SERVER]] [ttl=N] [agent=NAME] [drop]
//	    what a server says instead of the truth; * is any name or type; beneath
//	    it rcode, flags, answer, authority, additional and ede lines. Without those
//	    the true reply is cut, delayed, or comes after forged ones. cut=% cuts it
//	    at the number in the question's first label, raw= stands behind the true
//	    id, tail= behind the true question as one answer record, agent= wants errors
//	    reported to it (RFC 9567). as= gives what the server, or another, replies to
//	    another question, with the name that was asked for, and the rcode beneath.
//	    ttl= is that of all that is answered.
//	zone ZONE FILE|none [SERVER]   replace the data of a zone now; no delegation is made up
//	sign ZONE [WORD…]|none         the zone is signed from now on, and anew whenever its data
//	                               change, as the words say (see below); or no longer. The
//	                               zone above gets DS records the first time, later when a
//	                               word begins with ds=
//	ds ZONE WORD…|none             the DS records in the zone above, of the keys of the words
//	break ZONE WORD[:NAME[:TYPE]]… [at=SERVER]
//	                               signatures or denials go wrong (authority.BreakWords), of one
//	                               name or all, at one server or all
//	mend ZONE                      all that ends; the zone is signed anew
//	anchor ZONE [dnskey] [WORD…]   the resolver trusts the keys of the zone, which is signed
//	                               already, or those of the words: dnssec.trust-anchors has
//	                               their DS records, or the keys themselves
//	write NAME FILE|ZONE           put a file of the scenario, or a zone as it is served now,
//	                               into $STATE
//	flush NAME TYPE|all COUNT      take so many entries out of the cache
//	nta add ZONE [for=2h] [reason=WORD] [forced]
//	                               nothing at or below the zone is validated for so long
//	nta remove ZONE                it is again
//	nta list ZONE…|none            these have a negative trust anchor, and no others
//	restart [kill]                 stop the app, or kill it, and start it again
//	suspend D                      the resolver's machine sleeps for so long, at once: its
//	                               clocks go on, its timers and the world stand still
//	set-clock D                    its time of day is set forward, with - back
//	outage NAME blackhole|refuse D the machine, or the process on it, is dead for so long
//	partition NAME / heal NAME     nothing passes between the resolver and NAME
//	link NAME [latency=] [jitter=] [loss=] [mtu=]
//	open ID [from=ADDR]            a TCP connection of a client; ask has conn=ID
//	close ID
//	closed ID D..D                 wait until the resolver closes it, after so long
//	replies ID NAME…               the order in which replies came on it so far
//
// The words of sign are those of authority.ParsePlan; none for an Ed25519 key and NSEC:
//
//	algorithm=15[,N…]              each key in each of these algorithms: 5 7 8 10 13 14 15
//	keys=csk1[,KIND+N…]            csk signs everything, ksk the keys, zsk the rest; standby is
//	                               published only, hidden signs only; ksk1-revoked
//	twins=N                        so many keys with the tag of the first
//	nsec3=ITERATIONS[:SALT]        NSEC3 in place of NSEC
//	nsec3-says=HASH[:FLAGS]        that says to have another hash, or other flags
//	opt-out                        that leaves unsigned delegations out
//	valid=90d                      so long from now; the signatures begin an hour before
//	key-ttl=1h                     the TTL of the DNSKEY records
//	ds=2[,DIGEST…]|none|wrong      the DS records
//	wrong=WORD[:NAME[:TYPE]]       broken from the beginning
//
// Signatures are made at the servers' time: what happens to the resolver's clock is
// nothing to them. Without an anchor nothing is validated, unless the configuration
// says so.
//
// Options of ask and flood: tcp, norec, do, cd, ad, noedns, size=1232, version=0,
// class=IN, opcode=QUERY, id=N, from=ADDR, conn=ID, nsid, keepalive, cookie
// (or cookie=HEX), timeout=30s.
//
// # Expectations
//
// They stand indented beneath what they are about. Counts and durations are
// exact, or a range: 2..4, <=4, >=2.
//
//	rcode NOERROR
//	no-reply
//	answer NAME TTL TYPE DATA      all of the answer section, in order; TTL may be * or a range,
//	                               DATA may be *
//	answer none
//	authority …, additional …      likewise (OPT aside)
//	ttl 60                         the least of the answer section, else the SOA record's
//	flags rd ra                    all of qr's neighbours, or +aa -tc for some
//	ede 22 [text]                  an extended error; with - it has no text; ede none
//	edns size=1232 version=0 [do]  the OPT record; edns none
//	option nsid|cookie|keepalive [HEX|none]
//	took 400ms..600ms
//	size <=1232
//	records >=1
//	stale 0..3                     so many of all replies to a flood or series say that they
//	                               are stale (EDE 3 or 19)
//	slower 10ms <=20               so many of them took longer
//	upstream 3                     queries to authorities since the statement began
//	queries SERVER [NAME [TYPE]] 2 of these, so many; * is any
//	asked SERVER NAME TYPE [tcp]   all that was asked, in order, one line a query
//	saw SERVER NAME TYPE rd=false edns=true do=… cd=… size=1232 cookie=… mixed-case=…
//	                               how those that reached the server were asked
//	event KIND [field=value…]      the program told that since the statement began; ~ for =: contains
//	no-event KIND [field=value…]
//	root-copy SERIAL|none          the local root zone (RFC 8806) that is in use
//	logged TEXT                    the log has a line with it, since the app first started
//
// Whatever is expected, each reply must bear the question's id, opcode,
// question and case, fit the client, and list aliases first and in order. At
// the end the app stops, and no goroutine and no socket may be left.
package scenario
