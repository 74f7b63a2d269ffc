package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// message is a reply as it is shown: the JSON form, and what the text form is
// written from.
type message struct {
	ID         uint16     `json:"id"`
	Opcode     string     `json:"opcode"`
	Status     string     `json:"status"`
	Flags      []string   `json:"flags"`
	EDNS       *ednsInfo  `json:"edns,omitempty"`
	Question   []question `json:"question"`
	Answer     []record   `json:"answer"`
	Authority  []record   `json:"authority"`
	Additional []record   `json:"additional"`
	// About the exchange.
	Server string  `json:"server,omitempty"`
	Via    string  `json:"via,omitempty"`
	TookMS float64 `json:"took_ms"`
	Size   int     `json:"size"`
	Steps  []step  `json:"trace,omitempty"`
}

type question struct {
	Name  string `json:"name"`
	Class string `json:"class"`
	Type  string `json:"type"`
}

type record struct {
	Name  string `json:"name"`
	TTL   uint32 `json:"ttl"`
	Class string `json:"class"`
	Type  string `json:"type"`
	Data  string `json:"data"`
}

type ednsInfo struct {
	Version uint8      `json:"version"`
	UDPSize uint16     `json:"udp_size"`
	DO      bool       `json:"do"`
	NSID    string     `json:"nsid,omitempty"`
	Errors  []extended `json:"errors,omitempty"`
}

type extended struct {
	Code uint16 `json:"code"`
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
}

// readMessage turns a reply into its shown form.
func readMessage(v wire.View) message {
	m := message{
		ID: v.ID(), Opcode: v.Opcode().String(), Status: v.Rcode().String(), Size: len(v.Bytes()),
		Flags: flagNames(v), Question: []question{}, Answer: []record{}, Authority: []record{}, Additional: []record{},
	}
	if q, ok := v.Question(); ok {
		m.Question = append(m.Question, question{string(dnsname.AppendText(nil, q.Name)), q.Class.String(), q.Type.String()})
	}
	if e, ok := v.EDNS(); ok {
		m.EDNS = readEDNS(e)
	}
	for c := v.Records(); c.Next(); {
		r := c.Record()
		if r.Type == wire.TypeOPT {
			continue
		}
		switch r.Section {
		case wire.AnswerSection:
			m.Answer = append(m.Answer, readRecord(r))
		case wire.AuthoritySection:
			m.Authority = append(m.Authority, readRecord(r))
		default:
			m.Additional = append(m.Additional, readRecord(r))
		}
	}
	return m
}

func flagNames(v wire.View) []string {
	flags := []string{}
	for _, f := range []struct {
		set  bool
		name string
	}{{v.IsResponse(), "qr"}, {v.AA(), "aa"}, {v.TC(), "tc"}, {v.RD(), "rd"}, {v.RA(), "ra"}, {v.AD(), "ad"}, {v.CD(), "cd"}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return flags
}

func readRecord(r wire.Record) record {
	out := record{TTL: r.TTL, Class: r.Class.String(), Type: r.Type.String()}
	if name, err := r.AppendName(nil); err == nil {
		out.Name = string(dnsname.AppendText(nil, name))
	}
	if data, err := r.AppendRdata(nil); err == nil {
		out.Data = string(rrset.AppendText(nil, r.Type, data))
	} else {
		out.Data = fmt.Sprintf("\\# %d %x ; malformed", len(r.Rdata()), r.Rdata())
	}
	return out
}

func readEDNS(e wire.EDNS) *ednsInfo {
	info := &ednsInfo{Version: e.Version, UDPSize: e.UDPSize, DO: e.DO}
	if nsid, ok := e.Option(wire.OptionNSID); ok {
		info.NSID = printable(nsid)
	}
	for option, data := range e.All() {
		if option != wire.OptionEDE {
			continue
		}
		if code, text, ok := wire.ReadEDE(data); ok {
			info.Errors = append(info.Errors, extended{code, ede.Code(code).String(), printable(text)})
		}
	}
	return info
}

// printable is text from the network that a terminal may show: without control
// characters, those of ISO 6429 above 0x80 and of bidirectional text included.
func printable(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("%x", b)
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, string(b))
}

// print writes a message much as dig does.
func (m *message) print(w io.Writer) {
	fmt.Fprintf(w, ";; ->>HEADER<<- opcode: %s, status: %s, id: %d\n", m.Opcode, m.Status, m.ID)
	fmt.Fprintf(w, ";; flags: %s; QUERY: %d, ANSWER: %d, AUTHORITY: %d, ADDITIONAL: %d\n",
		strings.Join(m.Flags, " "), len(m.Question), len(m.Answer), len(m.Authority), len(m.Additional))
	if m.EDNS != nil {
		m.EDNS.print(w)
	}
	fmt.Fprintf(w, "\n;; QUESTION SECTION:\n")
	for _, q := range m.Question {
		fmt.Fprintf(w, ";%s\t\t%s\t%s\n", q.Name, q.Class, q.Type)
	}
	for _, s := range []struct {
		title   string
		records []record
	}{{"ANSWER", m.Answer}, {"AUTHORITY", m.Authority}, {"ADDITIONAL", m.Additional}} {
		if len(s.records) > 0 {
			fmt.Fprintf(w, "\n;; %s SECTION:\n", s.title)
		}
		for _, r := range s.records {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", r.Name, r.TTL, r.Class, r.Type, r.Data)
		}
	}
	fmt.Fprintf(w, "\n;; Query time: %s\n", time.Duration(m.TookMS*float64(time.Millisecond)).Round(100*time.Microsecond))
	if m.Server != "" {
		fmt.Fprintf(w, ";; SERVER: %s (%s)\n", m.Server, m.Via)
	}
	fmt.Fprintf(w, ";; MSG SIZE  rcvd: %d\n", m.Size)
}

func (e *ednsInfo) print(w io.Writer) {
	do := ""
	if e.DO {
		do = " do"
	}
	fmt.Fprintf(w, "\n;; OPT PSEUDOSECTION:\n; EDNS: version: %d, flags:%s; udp: %d\n", e.Version, do, e.UDPSize)
	if e.NSID != "" {
		fmt.Fprintf(w, "; NSID: %q\n", e.NSID)
	}
	for _, x := range e.Errors {
		fmt.Fprintf(w, "; EDE: %d (%s)", x.Code, x.Name)
		if x.Text != "" {
			fmt.Fprintf(w, ": (%s)", x.Text)
		}
		fmt.Fprintln(w)
	}
}
