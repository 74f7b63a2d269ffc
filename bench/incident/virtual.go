package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// virtual has the test of the folder scenario play the evening, and reads its
// tables.
func virtual(ctx context.Context, _ *options) ([]*course, error) {
	dir, err := os.MkdirTemp("", "incident")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "go", "test", "-C", root(), "-count=1", "-run", "^TestIncident$", "./scenario")
	cmd.Env = append(os.Environ(), "INCIDENT_CSV="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var list []*course
	for _, v := range [...][2]string{
		{"stale", "lastgood"}, {"stale-nta", "lastgood with an NTA"}, {"plain", "lastgood without stale answers"}, {"plain-nta", "without stale answers, with an NTA"},
	} {
		c, err := read(filepath.Join(dir, v[0]+".csv"), v[1])
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// read reads a table: time of day and counts.
func read(file, name string) (*course, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	c := &course{name: name}
	for _, row := range rows[1:] {
		var n [6]int
		for i := range n {
			if n[i], err = strconv.Atoi(row[i+1]); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		day, err := time.Parse("15:04", row[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		at := time.Duration(day.Hour())*time.Hour + time.Duration(day.Minute())*time.Minute
		c.bins = append(c.bins, bin{at: at, asked: n[0], good: n[1], knownAsked: n[2], knownGood: n[3], stale: n[4], secure: n[5]})
	}
	return c, nil
}
