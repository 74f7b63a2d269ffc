// Command lastgood is a DNS resolver that keeps answering when authorities do
// not. Everything is in the packages under internal.
package main

import (
	"os"

	"lastgood/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
