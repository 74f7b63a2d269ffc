// Package archtest holds the tests that keep the shape of the program: which
// package may import which, where time, chance, files and foreign code may come
// in, and how large things may grow. It reads the source of the whole module,
// whatever the build tags, and has no code of its own. Each rule has a sample
// that breaks it, so that a rule which finds nothing is noticed.
//
// When a rule fails, change the code. When the code is right and the rule is
// wrong, change docs/architecture.md with it and say why in the commit.
package archtest
