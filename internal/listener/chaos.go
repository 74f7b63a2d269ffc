package listener

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// The names of class CH that servers tell about themselves under (RFC 4892).
const (
	nameVersionBind   dnsname.Name = "\x07version\x04bind\x00"
	nameVersionServer dnsname.Name = "\x07version\x06server\x00"
	nameHostnameBind  dnsname.Name = "\x08hostname\x04bind\x00"
	nameIDServer      dnsname.Name = "\x02id\x06server\x00"
)

// chaosText is what is told under a name, "" when nothing is.
func (p *policy) chaosText(name dnsname.Name) string {
	switch name {
	case nameVersionBind, nameVersionServer:
		return p.version
	case nameHostnameBind, nameIDServer:
		return p.id
	}
	return ""
}

// chaos answers a question of class CH whose name in lower case is name.
func (w *worker) chaos(name dnsname.Name) resolver.Outcome {
	r := &w.req
	text := w.policy.chaosText(name)
	if text == "" || r.question.Type != wire.TypeTXT && r.question.Type != wire.TypeANY {
		r.complaint = errChaos
		return resolver.Outcome{Rcode: wire.RcodeRefused}
	}
	w.text = append(append(w.text[:0], byte(len(text))), text...)
	fits := w.out.b.Record(wire.AnswerSection, dnsname.Alias(r.question.Name), wire.TypeTXT, wire.ClassCH, 0, w.text)
	return resolver.Outcome{AA: true, Truncated: !fits}
}
