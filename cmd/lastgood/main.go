// Command lastgood is a recursive DNS resolver. Everything is in the packages
// under internal.
package main

import (
	"os"

	"lastgood/internal/cli"
)

func main() { os.Exit(profiled(func() int { return cli.Main(os.Args[1:]) })) }
