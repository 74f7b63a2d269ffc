package scenario

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is where clauses are mapped to scenarios.
const page = "../docs/rfc.md"

var (
	scenarioLink = regexp.MustCompile(`\]\(\.\./scenario/([^)]+)\)`)                  // constant in effect
	tableRow     = regexp.MustCompile(`(?m)^\|([^|]+)\|([^|]+)\|([^|]+)\|([^|]*)\|$`) // constant in effect
)

// findings are what a page claims wrongly of the scenarios that there are.
func findings(text string, have []string) (wrong []string) {
	var named []string
	for _, m := range scenarioLink.FindAllStringSubmatch(text, -1) {
		named = append(named, m[1])
		if !slices.Contains(have, m[1]) {
			wrong = append(wrong, "names scenario/"+m[1]+", which does not exist")
		}
	}
	for _, file := range have {
		if !slices.Contains(named, file) && !strings.HasPrefix(file, faultFolder) { // those have a page of their own
			wrong = append(wrong, "does not name scenario/"+file)
		}
	}
	for _, m := range tableRow.FindAllStringSubmatch(text, -1) {
		clause, status, claim := strings.TrimSpace(m[1]), strings.TrimSpace(m[3]), strings.TrimSpace(m[4])
		switch {
		case clause == "clause" || strings.HasPrefix(clause, "---"):
		case status == "done" && !scenarioLink.MatchString(claim):
			wrong = append(wrong, clause+" is done, says the page, but names no scenario")
		case status == "not yet" && claim != "":
			wrong = append(wrong, clause+" has a scenario, though the page says that it is not in this version")
		case status != "done" && status != "not yet" && status != "by design":
			wrong = append(wrong, clause+" has the status "+status)
		}
	}
	return wrong
}

// TestClauses holds docs/rfc.md against the scenarios.
func TestClauses(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings(string(text), files(t)) {
		t.Errorf("%s %s", page, f)
	}
}

// TestFindings sees the page's mistakes found.
func TestFindings(t *testing.T) {
	have := []string{"rfc1/a.txtar", "rfc1/b.txtar"}
	const link = "[a](../scenario/rfc1/a.txtar), [b](../scenario/rfc1/b.txtar)"
	for text, want := range map[string]string{
		"| §1 | x | done | " + link + " |":                               "",
		"| §1 | x | by design | " + link + " |\n| §2 | y | not yet | |":  "",
		"| §1 | x | done | [a](../scenario/rfc1/a.txtar) |":              "does not name scenario/rfc1/b.txtar",
		"| §1 | x | done | " + link + " [c](../scenario/rfc1/c.txtar) |": "names scenario/rfc1/c.txtar, which does not exist",
		link + "\n| §1 | x | done | |":                                   "§1 is done, says the page, but names no scenario",
		"| §1 | x | not yet | " + link + " |":                            "§1 has a scenario, though the page says that it is not in this version",
		"| §1 | x | perhaps | " + link + " |":                            "§1 has the status perhaps",
	} {
		if got := strings.Join(findings(text, have), "\n"); got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}
