//go:build tools

// Package tools names the programs that the tests of payonce-lnd run against: LND and its command
// line, a chain for it and that one's command line. The ordinary `go build` makes them.
package tools

import (
	_ "github.com/btcsuite/btcd"
	_ "github.com/btcsuite/btcd/cmd/btcctl"
	_ "github.com/lightningnetwork/lnd/cmd/lncli"
	_ "github.com/lightningnetwork/lnd/cmd/lnd"
)
