package scenario

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/event"
	"lastgood/internal/simauth"
)

// outcome is what expectations are held against.
type outcome struct {
	reply   *reply          // nil for check
	replies []*reply        // all of the statement
	queries []query         // sent
	events  []event.Event   // told
	heard   []simauth.Query // that reached a server
	world   *world
}

// expectation is one kind of line. Where many lines of a kind stand beneath a
// statement and whole is set, they are one expectation.
type expectation struct {
	ofReply bool
	whole   bool
	check   func(*outcome, []string) error
	// wrong makes the contrary of a line, which must not hold; see TestBite.
	wrong func(rest string) string
}

// huge is a number that nothing reaches.
const huge = "999999999"

var expectations = map[string]expectation{ // constant in effect
	"rcode":      {true, false, checkRcode, func(s string) string { return other(s, "YXRRSET", "NXRRSET") }},
	"no-reply":   {true, false, checkSilence, nil},
	"answer":     {true, true, sectionCheck(func(m *dns.Msg) []dns.RR { return m.Answer }), wrongRecord},
	"authority":  {true, true, sectionCheck(func(m *dns.Msg) []dns.RR { return m.Ns }), wrongRecord},
	"additional": {true, true, sectionCheck(func(m *dns.Msg) []dns.RR { return m.Extra }), wrongRecord},
	"ttl":        {true, false, checkTTL, constant(huge)},
	"flags":      {true, false, checkFlags, wrongFlags},
	"ede":        {true, false, checkEDE, constant("65000")},
	"edns":       {true, false, checkEDNS, func(s string) string { return other(s, "none", "size=1") }},
	"option":     {true, false, checkOption, wrongOption},
	"took":       {true, false, checkTook, constant("99h")},
	"size":       {true, false, checkSize, constant(huge)},
	"records":    {true, false, checkRecords, constant(huge)},
	"stale":      {true, false, checkStale, constant(huge)},
	"slower":     {true, false, checkSlower, wrongLast},
	"upstream":   {false, false, checkUpstream, constant(huge)},
	"queries":    {false, false, checkQueries, wrongLast},
	"asked":      {false, true, checkAsked, func(s string) string { return "nobody. " + s }},
	"saw":        {false, false, checkSaw, func(s string) string { return s + " size=1" }},
	"event":      {false, false, checkEvent, func(s string) string { return s + " flight=" + huge + " asked.name=wrong." }},
	"no-event":   {false, false, checkNoEvent, nil},
	"root-copy":  {false, false, checkRootCopy, constant(huge)},
	"logged":     {false, false, checkLogged, constant("what nobody says")},
}

func constant(text string) func(string) string { return func(string) string { return text } }

// other gives a, or b where the text is a already.
func other(text, a, b string) string {
	if text == a {
		return b
	}
	return a
}

func wrongRecord(rest string) string {
	if rest == "none" {
		return "wrong.invalid. 1 A 192.0.2.1"
	}
	_, behind, _ := strings.Cut(rest, " ")
	return "wrong.invalid. " + strings.TrimSpace(behind)
}

// wrongFlags turns the first flag around.
func wrongFlags(rest string) string {
	words := strings.Fields(rest)
	switch words[0][0] {
	case '+':
		words[0] = "-" + words[0][1:]
	case '-':
		words[0] = "+" + words[0][1:]
	default:
		words = words[1:]
		if len(words) == 0 {
			words = []string{"tc"}
		}
	}
	return strings.Join(words, " ")
}

func wrongOption(rest string) string {
	kind, value, _ := strings.Cut(rest, " ")
	if value == "none" {
		return kind
	}
	return kind + " none"
}

func wrongLast(rest string) string {
	words := strings.Fields(rest)
	words[len(words)-1] = huge
	return strings.Join(words, " ")
}

// group is lines that are one expectation.
type group struct {
	at   string
	verb string
	rest []string
}

// groups gathers the lines of a block.
func groupsOf(block []line) (list []*group) {
	for _, l := range block {
		i := slices.IndexFunc(list, func(g *group) bool { return g.verb == l.verb })
		if i >= 0 && expectations[l.verb].whole {
			list[i].rest = append(list[i].rest, l.rest)
			continue
		}
		list = append(list, &group{l.at, l.verb, []string{l.rest}})
	}
	return list
}

// expect holds an outcome against the block of a statement.
func (w *world) expect(st *step, o *outcome) error {
	silent := slices.ContainsFunc(st.block, func(l line) bool { return l.verb == "no-reply" })
	if o.reply != nil && o.reply.msg == nil && !silent {
		return fmt.Errorf("%w after %v", o.reply.err, o.reply.took)
	}
	o.world = w
	for _, g := range groupsOf(st.block) {
		w.groups++
		if w.bite {
			if err := g.bite(o); err != nil {
				return &failure{g.at, err}
			}
			continue
		}
		if err := expectations[g.verb].check(o, g.rest); err != nil {
			return &failure{g.at, fmt.Errorf("%w%s", err, show(o.reply))}
		}
	}
	return nil
}

// bite turns the expectation around and complains when it still holds.
func (g *group) bite(o *outcome) error {
	e, contrary := expectations[g.verb], slices.Clone(g.rest)
	switch {
	case g.verb == "no-reply":
		return nil // would be a reply, and that is checked before
	case g.verb == "no-event":
		e, contrary = expectations["event"], g.rest
	default:
		contrary[0] = e.wrong(contrary[0])
	}
	if e.check(o, contrary) == nil {
		return fmt.Errorf("%s %s holds, and so does %s", g.verb, g.rest[0], contrary[0])
	}
	return nil
}

// maxShown is how many lines of a reply a failure shows.
const maxShown = 40

// show is a reply as dig shows it.
func show(r *reply) string {
	if r == nil || r.msg == nil {
		return ""
	}
	lines := strings.Split(r.msg.String(), "\n")
	if len(lines) > maxShown {
		lines = append(lines[:maxShown], "…")
	}
	return fmt.Sprintf("\nreply after %v, %d octets:\n%s", r.took, r.size, strings.Join(lines, "\n"))
}

func checkRcode(o *outcome, rest []string) error {
	// An extended rcode is told in the OPT record, which the library merges.
	got := dns.RcodeToString[o.reply.msg.Rcode]
	if o.reply.msg.Rcode == dns.RcodeBadVers {
		got = "BADVERS" // 16 is BADSIG too
	}
	if got != rest[0] {
		return fmt.Errorf("want rcode %s, got %s", rest[0], got)
	}
	return nil
}

func checkSilence(o *outcome, _ []string) error {
	if o.reply.msg != nil {
		return errors.New("want no reply")
	}
	if !errors.Is(o.reply.err, errNoReply) && !errors.Is(o.reply.err, errClosed) {
		return o.reply.err
	}
	return nil
}

// sectionCheck compares a section, OPT aside, with lines.
func sectionCheck(of func(*dns.Msg) []dns.RR) func(*outcome, []string) error {
	return func(o *outcome, rest []string) error {
		var got []dns.RR
		for _, rr := range of(o.reply.msg) {
			if rr.Header().Rrtype != dns.TypeOPT {
				got = append(got, rr)
			}
		}
		if len(rest) == 1 && rest[0] == "none" {
			rest = nil
		}
		for i, text := range rest {
			if i >= len(got) {
				return fmt.Errorf("want %s, got no more", text)
			}
			if err := sameRecord(text, got[i]); err != nil {
				return err
			}
		}
		if len(got) > len(rest) {
			return fmt.Errorf("want %d records, got %d", len(rest), len(got))
		}
		return nil
	}
}

// sameRecord compares a record with NAME TTL TYPE DATA.
func sameRecord(text string, got dns.RR) error {
	words := strings.Fields(text)
	if len(words) < 4 {
		return fmt.Errorf("want NAME TTL TYPE DATA, not %q", text)
	}
	ttl, err := parseSpan(words[1], plainNumber)
	if err != nil {
		return err
	}
	if len(words) == 4 && words[3] == "*" {
		return sameHeader(text, words, ttl, got)
	}
	words[1] = "0"
	want, err := record(strings.Join(words, " "))
	if err != nil {
		return err
	}
	same := dns.Copy(got)
	same.Header().Ttl = 0
	// Names in data keep whatever case their server gave them.
	if !strings.EqualFold(plain(same), plain(want)) || !ttl.contains(int64(got.Header().Ttl)) {
		return fmt.Errorf("want %s, got %s", text, plain(got))
	}
	return nil
}

// sameHeader compares a record with NAME TTL TYPE, whatever its data.
func sameHeader(text string, words []string, ttl span, got dns.RR) error {
	h := got.Header()
	typ, ok := typeOf(words[2])
	if !ok || !strings.EqualFold(h.Name, words[0]) || h.Rrtype != typ || !ttl.contains(int64(h.Ttl)) {
		return fmt.Errorf("want %s, got %s", text, plain(got))
	}
	return nil
}

func checkTTL(o *outcome, rest []string) error {
	s, err := parseSpan(rest[0], plainNumber)
	if err != nil {
		return err
	}
	list := o.reply.msg.Answer
	if len(list) == 0 {
		list = o.reply.msg.Ns
	}
	least := int64(-1)
	for _, rr := range list {
		if ttl := int64(rr.Header().Ttl); least < 0 || ttl < least {
			least = ttl
		}
	}
	if !s.contains(least) {
		return fmt.Errorf("want ttl %s, got %d", rest[0], least)
	}
	return nil
}

func checkFlags(o *outcome, rest []string) error {
	m := o.reply.msg
	is := map[string]bool{"aa": m.Authoritative, "tc": m.Truncated, "rd": m.RecursionDesired,
		"ra": m.RecursionAvailable, "ad": m.AuthenticatedData, "cd": m.CheckingDisabled}
	exact := map[string]bool{}
	for _, word := range strings.Fields(rest[0]) {
		name := strings.TrimLeft(word, "+-")
		if _, ok := is[name]; !ok {
			return fmt.Errorf("unknown flag %q", name)
		}
		switch {
		case name == word:
			exact[word] = true
		case is[name] != (word[0] == '+'):
			return fmt.Errorf("want flag %s", word)
		}
	}
	for name, set := range is {
		if len(exact) > 0 && exact[name] != set {
			return fmt.Errorf("want flags %s: %s is %v", rest[0], name, set)
		}
	}
	return nil
}

func checkEDE(o *outcome, rest []string) error {
	var got []string
	code, text, _ := strings.Cut(rest[0], " ")
	if opt := o.reply.msg.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			e, ok := option.(*dns.EDNS0_EDE)
			if !ok {
				continue
			}
			said := strings.Contains(e.ExtraText, text) || text == "-" && e.ExtraText == ""
			if strconv.Itoa(int(e.InfoCode)) == code && said {
				return nil
			}
			got = append(got, fmt.Sprintf("%d (%s)", e.InfoCode, e.ExtraText))
		}
	}
	if code == "none" && len(got) == 0 {
		return nil
	}
	return fmt.Errorf("want ede %s, got %q", rest[0], got)
}

func checkEDNS(o *outcome, rest []string) error {
	opt := o.reply.msg.IsEdns0()
	if (opt == nil) != (rest[0] == "none") {
		return fmt.Errorf("want edns %s, got %v", rest[0], opt)
	}
	if opt == nil {
		return nil
	}
	has, err := optionsOf(strings.Fields(rest[0]), "size= version= do none")
	if err != nil {
		return err
	}
	for key, want := range has.vals {
		got := map[string]string{"size": strconv.Itoa(int(opt.UDPSize())), "version": strconv.Itoa(int(opt.Version()))}[key]
		if key == "do" && !opt.Do() || key != "do" && got != want {
			return fmt.Errorf("want edns %s, got %s", rest[0], opt)
		}
	}
	return nil
}

func checkOption(o *outcome, rest []string) error {
	kind, want, _ := strings.Cut(rest[0], " ")
	got := "none"
	if opt := o.reply.msg.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			switch e := option.(type) {
			case *dns.EDNS0_NSID:
				if kind == "nsid" {
					raw, err := hex.DecodeString(e.Nsid)
					if err != nil {
						return err
					}
					got = string(raw)
				}
			case *dns.EDNS0_COOKIE:
				if kind == "cookie" {
					got = e.Cookie
				}
			case *dns.EDNS0_TCP_KEEPALIVE:
				if kind == "keepalive" {
					got = (time.Duration(e.Timeout) * 100 * time.Millisecond).String()
				}
			}
		}
	}
	switch {
	case want == "" && got == "none", want != "" && !strings.HasPrefix(got, want):
		return fmt.Errorf("want option %s, got %s", rest[0], got)
	}
	return nil
}

func checkTook(o *outcome, rest []string) error {
	s, err := parseSpan(rest[0], durationNumber)
	if err == nil && !s.contains(int64(o.reply.took)) {
		return fmt.Errorf("want a reply after %s, got it after %v", rest[0], o.reply.took)
	}
	return err
}

func checkSize(o *outcome, rest []string) error {
	return number("octets", o.reply.size, rest[0])
}

func checkRecords(o *outcome, rest []string) error {
	return number("records in the answer", len(o.reply.msg.Answer), rest[0])
}

// checkStale counts, of all replies to the statement, those that say that they
// are stale.
func checkStale(o *outcome, rest []string) error {
	n := 0
	for _, r := range o.replies {
		if r.msg != nil && r.saysStale() {
			n++
		}
	}
	return number(fmt.Sprintf("stale answers of %d", len(o.replies)), n, rest[0])
}

// saysStale tells whether a reply says, by EDE 3 or 19, that it is stale.
func (r *reply) saysStale() bool {
	opt := r.msg.IsEdns0()
	return opt != nil && slices.ContainsFunc(opt.Option, func(option dns.EDNS0) bool {
		e, ok := option.(*dns.EDNS0_EDE)
		return ok && (e.InfoCode == dns.ExtendedErrorCodeStaleAnswer || e.InfoCode == dns.ExtendedErrorCodeStaleNXDOMAINAnswer)
	})
}

// checkSlower counts, of all replies to the statement, those that took longer than
// some time.
func checkSlower(o *outcome, rest []string) error {
	least, count, ok := strings.Cut(rest[0], " ")
	d, err := duration(least)
	if err != nil || !ok {
		return errors.New("want: slower DURATION COUNT")
	}
	n := 0
	for _, r := range o.replies {
		if r.took > d {
			n++
		}
	}
	return number(fmt.Sprintf("replies of %d that took longer than %v", len(o.replies), d), n, count)
}

func number(what string, got int, want string) error {
	s, err := parseSpan(want, plainNumber)
	if err == nil && !s.contains(int64(got)) {
		return fmt.Errorf("want %s %s, got %d", want, what, got)
	}
	return err
}
