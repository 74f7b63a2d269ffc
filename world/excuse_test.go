package world

import (
	"github.com/miekg/dns"
)

type failures struct{}

func (j *judge) readFailures() *failures { return &failures{} }

func (j *judge) failure(r *reply, m *dns.Msg) string {
	j.counts.failures[dns.RcodeToString[m.Rcode]]++
	return ""
}

func (j *judge) budgets() {}
