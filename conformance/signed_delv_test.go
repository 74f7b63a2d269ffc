package conformance

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// delvSays is what delv makes of an answer that it validates itself.
type delvSays string

const (
	delvFull     delvSays = "fully validated"
	delvUnsigned delvSays = "unsigned answer"
	delvFailed   delvSays = "resolution failed"
)

// delv has BIND's client ask a resolver, and judge itself what the resolver hands
// out, with the root's anchor.
func (n *namespace) delv(addr, anchors string, q inquiry) (delvSays, string) {
	cmd := exec.Command("delv", "@"+host(addr), "-p", portOf(addr), "-a", anchors, "+root=.", "-q", q.name, "-t", dns.Type(q.typ).String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := &log{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := n.begin(cmd); err != nil {
		return "", err.Error()
	}
	err := cmd.Wait() // delv ends with 1 when it fails
	text := said.String()
	switch {
	case strings.Contains(text, string(delvUnsigned)):
		return delvUnsigned, text
	case strings.Contains(text, string(delvFull)):
		return delvFull, text
	case err != nil || strings.Contains(text, string(delvFailed)):
		return delvFailed, text
	}
	return "", text
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// delvBehind puts delv behind lastgood and behind Unbound: what lastgood hands out
// must be all that a validator needs to come to the same conclusion, and that must
// be ours.
func (n *namespace) delvBehind(t *testing.T, w *signedWorld, anchors string, seed uint64) {
	c, err := n.client(resolverAt, seed)
	if err != nil {
		t.Fatal(err)
	}
	count := map[delvSays]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	room := make(chan struct{}, 6) // delv waits for long where it finds no way out
	for _, q := range w.inquiries(seed+1, 120) {
		q.bits = bits{do: true}
		ours := c.askSigned(q.name, q.typ, q.bits)
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			behind, text := n.delv(resolverAt, anchors, q)
			reference, _ := n.delv(unboundAt, anchors, q)
			mu.Lock()
			defer mu.Unlock()
			count[behind]++
			if wrong := delvWrong(q, ours, behind, reference); wrong != "" {
				t.Errorf("%s: %s: lastgood says %s\n\tdelv behind it %q, behind Unbound %q\n%s", q, wrong, ours, behind, reference, text)
			}
		})
	}
	wg.Wait()
	t.Logf("%v", count)
}

// delvWrong says what is wrong, but for what [explainedSigned] has clauses for.
func delvWrong(q inquiry, ours answer, behind, reference delvSays) string {
	want := delvUnsigned
	switch {
	case ours.rcode == dns.RcodeServerFailure:
		want = delvFailed
	case ours.ad:
		want = delvFull
	}
	refused := want == delvFailed && strings.HasPrefix(q.zone.name, "rounds600") // by us, not by Unbound and delv
	switch {
	case behind != reference && !(behind == want && (refused || q.typ == dns.TypeCNAME && ours.isAlias())):
		return "not what it says behind Unbound"
	case behind == want, behind == delvFull && want == delvUnsigned && q.zone.rounds > insecureRounds, behind == delvFull && ours448(opinion{inquiry: q, ours: ours}),
		behind == delvUnsigned && refused,
		behind == delvFull && want == delvUnsigned && strings.Contains(q.zone.denial, "optout"): // RFC 5155 §9.2 is about the AD bit
		return ""
	}
	return "not what lastgood says"
}
