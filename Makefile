# Few targets; .ci/run is what decides.
.PHONY: check test scenario worlds plants lint bench-peers bench-scale fuzz outage soak pgo

check: ## everything that CI runs
	.ci/run

test: ## what a newcomer types
	go test ./...

scenario: ## the real app on a simulated network, one line a scenario
	go test -count=1 -v -run TestScenarios ./scenario

worlds: ## a million questions to random worlds on two processors, and eight bugs planted; takes ten to thirty minutes
	go test -c -o $${TMPDIR:-/tmp}/lastgood-worlds.test ./world
	cd world && $${TMPDIR:-/tmp}/lastgood-worlds.test -test.v -test.timeout 2h -test.run TestWorlds -world.n 1700 & one=$$!; \
	cd world && $${TMPDIR:-/tmp}/lastgood-worlds.test -test.v -test.timeout 2h -test.run TestWorlds -world.n 1700 -world.first 1701; two=$$?; \
	wait $$one && exit $$two
	go test -count=1 -v -timeout 1h -run TestPlanted ./world -world.plant

lint:
	test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go tool -modfile=tools/go.mod staticcheck ./...

bench-peers: ## what a question costs beside other resolvers; a quarter of an hour, wants an idle machine
	go -C bench run ./peers -out results/$$(date +%F)-peers

bench-scale: ## how costs and latency behave with names, sockets, cores and load; wants an idle machine
	go -C bench run ./scale -out results/$$(date +%F)-scale

fuzz: ## 20 minutes for each fuzz target; takes hours
	.ci/fuzz 20m

outage: ## what clients notice when an authority fails, beside other resolvers; an hour and a half, wants an idle machine
	go -C bench run ./outage -out results/$$(date +%F)-outage
	go -C bench run ./outage -kill -out results/$$(date +%F)-outage-kill

soak: ## half an hour at 80 % of capacity in the lab, with faults; wants an idle machine
	go -C bench run ./soak -minutes 30 -out results/$$(date +%F)-soak

plants: ## bugs planted into copies of the program, one by one, each of which the worlds have to find; takes some minutes
	world/plants/run

pgo: ## a profile for the compiler, of the benchmark's own load: go build ./cmd/lastgood uses it from then on; two minutes, wants an idle machine
	dir=$$(mktemp -d) && mkdir $$dir/profiles && go build -pgo=off -tags profile -o $$dir/lastgood ./cmd/lastgood && \
	LASTGOOD_PROFILES=$$dir/profiles go -C bench run ./peers -lastgood $$dir/lastgood -servers lastgood -rounds 1 -peer-rounds 1 -workloads hot,rate,chain,tcp,cached,signed,cold,zones,names,denials && \
	go tool pprof -symbolize=none -proto $$dir/profiles/*.pprof > $$dir/default.pgo && mv $$dir/default.pgo cmd/lastgood/default.pgo && rm -r $$dir
