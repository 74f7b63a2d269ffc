// Command now prints both readings of the clock for every line that it reads.
package main

import (
	"bufio"
	"fmt"
	"os"

	"lastgood/internal/clock"
)

func main() {
	c := clock.New()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(int64(c.Now()), c.Wall().UnixNano())
	}
}
