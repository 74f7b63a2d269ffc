package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lastgood/internal/app"
	"lastgood/internal/config"
)

func configCommand() *command {
	return &command{
		name: "config", short: "check a configuration, or print an example or the schema",
		sub: []*command{
			{
				name: "check", args: "FILE", short: "tell what is wrong with a configuration",
				long:    "Every mistake is told at once, as FILE:LINE: what is wrong and what to do. The files that it names are read too. Nothing is started.",
				example: []string{"lastgood config check lastgood.yaml"},
				run: func(_ context.Context, e *env, _ any, args []string) error {
					if len(args) != 1 {
						return usagef("give the file: lastgood config check FILE")
					}
					cfg, err := config.Load(args[0])
					if err != nil {
						return configError{err}
					}
					// The files that it names are read as serve would read them.
					if _, err := app.New(app.Options{Config: cfg, Log: newLog(e.stderr, cfg.Log)}); err != nil {
						return configError{fmt.Errorf("%s: %w", args[0], err)}
					}
					if err := app.CheckInterfaces(cfg); err != nil {
						return configError{fmt.Errorf("%s: %w", args[0], err)}
					}
					fmt.Fprintf(e.stdout, "%s: fine\n", args[0])
					return nil
				},
			},
			{
				name: "example", short: "print a complete configuration with its defaults explained",
				example: []string{"lastgood config example > lastgood.yaml"},
				run: func(_ context.Context, e *env, _ any, _ []string) error {
					fmt.Fprint(e.stdout, config.Example())
					return nil
				},
			},
			{
				name: "schema", short: "print the JSON schema, for editors",
				run: func(_ context.Context, e *env, _ any, _ []string) error {
					schema, err := config.Schema()
					if err != nil {
						return err
					}
					_, err = fmt.Fprintln(e.stdout, string(schema))
					return err
				},
			},
		},
	}
}

// configError ends with exit code 2: nothing was started.
type configError struct{ error }

// ExitCode is that of a wrong configuration.
func (configError) ExitCode() int { return exitUsage }

func (e configError) Unwrap() error { return e.error }

// loadConfig reads a configuration file; without one the defaults hold.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	cfg, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, configError{fmt.Errorf("lastgood: no configuration file at %s (`lastgood config example` prints one)", path)}
	}
	if err != nil {
		return nil, configError{err}
	}
	return cfg, nil
}
