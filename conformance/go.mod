module lastgood/conformance

go 1.26
