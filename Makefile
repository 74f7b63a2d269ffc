# Few targets; .ci/run is what decides.
.PHONY: check test scenario lint bench fuzz soak

check: ## everything that CI runs
	.ci/run

test: ## what a newcomer types
	go test ./...

scenario: ## the real app on a simulated network, one line a scenario
	go test -count=1 -v -run TestScenarios ./scenario

lint:
	test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go tool -modfile=tools/go.mod staticcheck ./...

bench: ## CPU per question beside Unbound; takes a few minutes, wants an idle machine
	go -C bench run ./cost

fuzz: ## 20 minutes for each fuzz target; takes hours
	.ci/fuzz 20m

soak: ## half an hour at 80 % of capacity in the lab, with faults; wants an idle machine
	go -C bench run ./soak -minutes 30 -out results/$$(date +%F)-soak
