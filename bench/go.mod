module lastgood/bench

go 1.26
