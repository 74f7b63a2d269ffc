package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// step is one event of a resolution in JSON.
type step struct {
	Flight    uint64   `json:"flight"`
	What      string   `json:"what"` // resolve, ask, done, note, judged, trust, ticket
	Name      string   `json:"name,omitempty"`
	Type      string   `json:"type,omitempty"`
	Zone      string   `json:"zone,omitempty"`
	Server    string   `json:"server,omitempty"`
	Host      string   `json:"host,omitempty"`
	Why       string   `json:"why,omitempty"`
	Minimised bool     `json:"minimised,omitempty"`
	Transport string   `json:"transport,omitempty"`
	RTTMS     float64  `json:"rtt_ms,omitempty"`
	Outcome   string   `json:"outcome,omitempty"`
	Next      string   `json:"next,omitempty"`
	Scrubbed  []string `json:"scrubbed,omitempty"`
	Text      string   `json:"text,omitempty"`
}

// story hears the events of one resolution and tells them, indented by who
// needed what. Events come from several goroutines.
type story struct {
	w    io.Writer
	live bool // print while it happens

	mu    sync.Mutex
	depth map[event.FlightID]int
	told  []step
	count int // of exchanges
}

func newStory(w io.Writer, live bool) *story {
	return &story{w: w, live: live, depth: map[event.FlightID]int{}}
}

func (s *story) steps() []step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

// hear is the event sink.
func (s *story) hear(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := e.(type) {
	case event.FlightStarted:
		s.started(e)
	case event.Exchanged:
		s.exchanged(e)
	case event.FlightEnded:
		s.ended(e)
	case event.Priming:
		if e.Failure != nil {
			s.note(0, "the root could not be primed: "+e.Failure.Error())
		} else {
			s.note(0, fmt.Sprintf("primed: the root has %d servers", e.Servers))
		}
	case event.Downgraded:
		s.note(0, fmt.Sprintf("%s from now on: %s (%s)", e.Server, e.What, e.Why))
	case event.BudgetHit:
		s.note(e.Flight, "work bound hit: limits."+e.Bound)
	case event.Judged:
		s.judged(e)
	case event.CutHealth:
		if e.Failing {
			s.note(0, "zone "+e.Cut.String()+" began to fail")
		}
	}
}

// judged tells what validation made of an answer.
func (s *story) judged(e event.Judged) {
	st := step{Flight: uint64(e.Flight), What: "judged", Name: e.Question.Name.String(), Type: e.Question.Type.String(), Outcome: "insecure"}
	switch {
	case e.Failure != nil && e.Bogus:
		st.Outcome, st.Text = "bogus", e.Failure.Error()
	case e.Failure != nil:
		st.Outcome, st.Text = "indeterminate", e.Failure.Error()
	case e.Secure:
		st.Outcome = "secure"
	}
	if e.Zone != "" {
		st.Zone = e.Zone.String()
	}
	s.told = append(s.told, st)
	text := st.Outcome
	if st.Text != "" {
		text += ": " + st.Text
	}
	s.line(e.Flight, "      it is %s", text)
}

// trust tells of chains of trust, link by link, and what is wrong with them.
func (s *story) trust(list []resolver.Trust) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		t := &list[i]
		s.line(0, "chain of trust of %s %s:", t.Question.Name, t.Question.Type)
		for _, l := range t.Links {
			s.told = append(s.told, step{What: "trust", Name: t.Question.Name.String(), Type: t.Question.Type.String(), Zone: l.Zone.String(), Outcome: l.State, Text: l.Text})
			s.line(0, "      %s %s: %s", l.Zone, l.State, l.Text)
		}
		if t.Sentence != "" {
			s.told = append(s.told, step{What: "ticket", Text: t.Sentence})
			s.line(0, "for a ticket: %s", t.Sentence)
		}
	}
}

func (s *story) line(flight event.FlightID, format string, args ...any) {
	if s.live {
		fmt.Fprintf(s.w, ";; %s%s\n", strings.Repeat("    ", s.depth[flight]), fmt.Sprintf(format, args...))
	}
}

func (s *story) note(flight event.FlightID, text string) {
	s.told = append(s.told, step{Flight: uint64(flight), What: "note", Text: text})
	s.line(flight, "      ! %s", text)
}

func (s *story) started(e event.FlightStarted) {
	s.told = append(s.told, step{Flight: uint64(e.Flight), What: "resolve", Name: e.Question.Name.String(), Type: e.Question.Type.String()})
	if e.Parent != 0 {
		s.depth[e.Flight] = s.depth[e.Parent] + 1
		what := "the address of a name server"
		if t := e.Question.Type; t == wire.TypeDS || t == wire.TypeDNSKEY {
			what = "a link of the chain of trust"
		}
		s.line(e.Flight, "to go on, %s: %s %s", what, e.Question.Name, e.Question.Type)
		return
	}
	s.line(e.Flight, "resolve %s %s", e.Question.Name, e.Question.Type)
}

func (s *story) exchanged(e event.Exchanged) {
	s.count++
	st := step{
		Flight: uint64(e.Flight), What: "ask", Name: e.Asked.Name.String(), Type: e.Asked.Type.String(), Zone: e.Zone.String(),
		Server: e.Server.String(), Why: e.Why.String(), Minimised: e.Minimised, Transport: e.Transport.String(),
		RTTMS: float64(e.RTT) / float64(time.Millisecond), Outcome: e.Outcome.String(), Text: e.Text,
	}
	who := e.Server.Addr().String()
	if e.Host != "" {
		st.Host = e.Host.String()
		who = e.Host.String() + " " + who
	}
	if e.Next != "" {
		st.Next = e.Next.String()
	}
	asked := fmt.Sprintf("%s %s", e.Asked.Name, e.Asked.Type)
	if e.Minimised {
		asked += " (minimised)"
	}
	s.line(e.Flight, "%3d. zone %s: ask %s (%s) for %s", s.count, e.Zone, who, e.Why, asked)
	s.line(e.Flight, "      %s over %s: %s", e.RTT.Round(100*time.Microsecond), e.Transport, outcomeText(e))
	for _, x := range e.Scrubbed {
		text := fmt.Sprintf("%s %s in the %s section: %s", x.Name, x.Type, x.Section, x.Why)
		st.Scrubbed = append(st.Scrubbed, text)
		s.line(e.Flight, "      not believed: %s", text)
	}
	s.told = append(s.told, st)
}

// outcomeText says what a server's reply meant for the resolution.
func outcomeText(e event.Exchanged) string {
	text := map[event.Outcome]string{
		event.Answer:   fmt.Sprintf("the answer, %d record%s", e.Answers, plural(e.Answers)),
		event.Alias:    "an alias of " + nameText(e.Next),
		event.NoData:   "the name exists, the type does not",
		event.NXDomain: "the name does not exist",
		event.Referral: "that is for the servers of " + nameText(e.Next),
		event.Timeout:  "no reply yet, going elsewhere",
	}[e.Outcome]
	if text == "" {
		text = e.Outcome.String()
	}
	if e.Text != "" {
		text += " (" + e.Text + ")"
	}
	if e.Late {
		text += ", late"
	}
	return text
}

func nameText(n dnsname.Name) string {
	if n == "" {
		return "?"
	}
	return n.String()
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func (s *story) ended(e event.FlightEnded) {
	took := e.Took.Round(100 * time.Microsecond)
	st := step{Flight: uint64(e.Flight), What: "done", Name: e.Question.Name.String(), Type: e.Question.Type.String(),
		Outcome: e.Rcode.String(), RTTMS: float64(e.Took) / float64(time.Millisecond)}
	if e.Failure != nil {
		st.Text = e.Failure.Error()
		s.line(e.Flight, "%s %s failed after %s and %d quer%s: %s", e.Question.Name, e.Question.Type, took, e.Queries, ies(e.Queries), e.Failure)
	} else {
		s.line(e.Flight, "%s %s: %s after %s and %d quer%s", e.Question.Name, e.Question.Type, e.Rcode, took, e.Queries, ies(e.Queries))
	}
	s.told = append(s.told, st)
}

func ies(n int) string {
	if n == 1 {
		return "y"
	}
	return "ies"
}
