package authority

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flaw is a set of ways to misbehave.
type Flaw uint32

// The flaws; what each does is said in [FaultWords]. Most are met by their
// words only.
const (
	Blackhole Flaw = 1 << iota
	ServFail
	refuseAll
	notImp
	formErr
	lame
	selfReferral
	sideReferral
	notAuthoritative
	noEDNS
	notImpEDNS
	dropEDNS
	ignoreEDNS
	badVers
	dropNewTypes
	truncate
	NoTCP
	stallTCP
	mangleCase
	wrongID
	wrongQuestion
	wrongPort
	wrongAddress
	garbage
	nxdomainENT
	noSOA
)

// maxDelay bounds slow=, and with it how long a server holds a reply.
const maxDelay = time.Minute

// Fault is how a server misbehaves, as data: comparable, and combinable. The
// zero Fault is none.
type Fault struct {
	Delay time.Duration // added to every reply, at most a minute
	Loss  float64       // chance in [0,1] that a datagram goes unanswered
	Flaws Flaw
}

// FaultWord is one word of a fault's text form and what it does.
type FaultWord struct {
	Word, Help string
	flaw       Flaw
}

// FaultWords lists the words that [ParseFault] knows.
func FaultWords() []FaultWord {
	return append([]FaultWord{
		{Word: "off", Help: "no fault"},
		{Word: "slow=800ms", Help: "every reply that much later, at most 1m"},
		{Word: "loss=30%", Help: "that share of questions over UDP unanswered"},
	}, flawWords[:]...)
}

var flawWords = [...]FaultWord{
	{"blackhole", "silence", Blackhole},
	{"servfail", "SERVFAIL to everything", ServFail},
	{"refused", "REFUSED to everything", refuseAll},
	{"notimp", "NOTIMP to everything", notImp},
	{"formerr", "FORMERR to everything", formErr},
	{"lame", "referral upwards, to the root", lame},
	{"self-referral", "referral to the zone itself", selfReferral},
	{"side-referral", "referral to a zone beside it", sideReferral},
	{"not-aa", "answers without the authoritative bit", notAuthoritative},
	{"no-edns", "FORMERR, without OPT, to questions with EDNS", noEDNS},
	{"notimp-edns", "NOTIMP, without OPT, to questions with EDNS", notImpEDNS},
	{"drop-edns", "silence to questions with EDNS", dropEDNS},
	{"ignore-edns", "answers as if there were no EDNS", ignoreEDNS},
	{"badvers", "BADVERS to EDNS version 0", badVers},
	{"drop-new-types", "silence to AAAA, SVCB and HTTPS questions", dropNewTypes},
	{"truncate", "nothing but TC over UDP", truncate},
	{"no-tcp", "refuses TCP", NoTCP},
	{"stall-tcp", "sends half of each reply over TCP, then nothing", stallTCP},
	{"mangle-case", "gives the question back in lower case", mangleCase},
	{"wrong-id", "replies with another id", wrongID},
	{"wrong-question", "replies to another question", wrongQuestion},
	{"wrong-port", "replies from another port", wrongPort},
	{"wrong-address", "replies from another address", wrongAddress},
	{"garbage", "replies whose records are cut off in the middle", garbage},
	{"nxdomain-ent", "NXDOMAIN for empty non-terminals", nxdomainENT},
	{"no-soa", "negative answers without SOA", noSOA},
}

// ParseFault reads a fault's text form: words joined by commas, such as
// "slow=800ms,servfail".
func ParseFault(text string) (Fault, error) {
	var f Fault
	if text == "off" {
		return f, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		if err := f.parseWord(strings.TrimSpace(word)); err != nil {
			return Fault{}, err
		}
	}
	return f, nil
}

func (f *Fault) parseWord(word string) error {
	if value, ok := strings.CutPrefix(word, "slow="); ok {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 || d > maxDelay {
			return fmt.Errorf("fault %q: want a duration up to %v such as slow=800ms", word, maxDelay)
		}
		f.Delay = d
		return nil
	}
	if value, ok := strings.CutPrefix(word, "loss="); ok {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if err != nil || !strings.HasSuffix(value, "%") || !(percent >= 0 && percent <= 100) {
			return fmt.Errorf("fault %q: want a percentage such as loss=30%%", word)
		}
		f.Loss = percent / 100
		return nil
	}
	for _, w := range flawWords {
		if w.Word == word {
			f.Flaws |= w.flaw
			return nil
		}
	}
	if word == "off" {
		return fmt.Errorf(`fault "off" stands alone: it ends every fault`)
	}
	var known []string
	for _, w := range FaultWords() {
		known = append(known, w.Word)
	}
	return fmt.Errorf("unknown fault %q; known are %s", word, strings.Join(known, ", "))
}

// String is the form that ParseFault reads.
func (f Fault) String() string {
	var words []string
	if f.Delay != 0 {
		words = append(words, "slow="+f.Delay.String())
	}
	if f.Loss != 0 {
		words = append(words, "loss="+strconv.FormatFloat(f.Loss*100, 'g', 6, 64)+"%")
	}
	for _, w := range flawWords {
		if f.Has(w.flaw) {
			words = append(words, w.Word)
		}
	}
	if len(words) == 0 {
		return "off"
	}
	return strings.Join(words, ",")
}

// Has tells whether f has one of the flaws.
func (f Fault) Has(flaws Flaw) bool { return f.Flaws&flaws != 0 }

// With is f and g at once: the longer delay, both losses, all flaws.
func (f Fault) With(g Fault) Fault {
	return Fault{
		Delay: max(f.Delay, g.Delay),
		Loss:  1 - (1-f.Loss)*(1-g.Loss),
		Flaws: f.Flaws | g.Flaws,
	}
}
