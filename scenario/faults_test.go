package scenario

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// faultPage is where faults are mapped to scenarios, those of faultFolder.
const (
	faultPage   = "../docs/faults.md"
	faultFolder = "fault/"
)

// faultFindings are what the page of faults claims wrongly of the scenarios that
// there are: each row has one of its own, and each scenario its row.
func faultFindings(text string, have []string) (wrong []string) {
	named := map[string]string{} // by scenario, the row
	for _, m := range tableRow.FindAllStringSubmatch(text, -1) {
		fault, seen, most, claim := strings.TrimSpace(m[1]), strings.TrimSpace(m[2]), strings.TrimSpace(m[3]), m[4]
		if fault == "fault" || strings.HasPrefix(fault, "---") {
			continue
		}
		links := scenarioLink.FindAllStringSubmatch(claim, -1)
		switch {
		case len(links) == 0:
			wrong = append(wrong, fault+" has no scenario")
		case seen == "" || most == "":
			wrong = append(wrong, fault+" does not say what happens")
		}
		for _, l := range links {
			file := l[1]
			if other, ok := named[file]; ok {
				wrong = append(wrong, fault+" and "+other+" share scenario/"+file)
			}
			if named[file] = fault; !slices.Contains(have, file) {
				wrong = append(wrong, "names scenario/"+file+", which does not exist")
			}
		}
	}
	for _, file := range have {
		if _, ok := named[file]; !ok && strings.HasPrefix(file, faultFolder) {
			wrong = append(wrong, "does not name scenario/"+file)
		}
	}
	return wrong
}

// TestFaultTable holds docs/faults.md against the scenarios.
func TestFaultTable(t *testing.T) {
	text, err := os.ReadFile(faultPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faultFindings(string(text), files(t)) {
		t.Errorf("%s %s", faultPage, f)
	}
}

// TestFaultFindings sees the page's mistakes found.
func TestFaultFindings(t *testing.T) {
	have := []string{"fault/a.txtar", "fault/b.txtar", "rfc1/c.txtar"}
	const a, b = "| x | y | 1 | [a](../scenario/fault/a.txtar) |\n", "| z | y | 1 | [b](../scenario/fault/b.txtar) |\n"
	for text, want := range map[string]string{
		a + b:                                   "",
		a:                                       "does not name scenario/fault/b.txtar",
		a + b + "| v | y | 1 | |\n":             "v has no scenario",
		a + b + strings.Replace(a, "x", "v", 1): "v and x share scenario/fault/a.txtar",
		a + strings.Replace(b, "| 1 |", "| |", 1):                 "z does not say what happens",
		a + b + "| v | y | 1 | [d](../scenario/rfc1/d.txtar) |\n": "names scenario/rfc1/d.txtar, which does not exist",
	} {
		if got := strings.Join(faultFindings(text, have), "\n"); got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}
