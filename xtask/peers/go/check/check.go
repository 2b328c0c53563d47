// Package check is how a check runs and what it expects; see ../../README.md for what is printed.
package check

import (
	"errors"
	"fmt"
	"reflect"
)

var failed int

// That runs a check, which fails by panicking.
func That(name string, body func()) {
	defer func() {
		if reason := recover(); reason != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", name, reason)
			return
		}
		fmt.Printf("ok %s\n", name)
	}()
	body()
}

// Done ends the checks.
func Done() {
	fmt.Printf("done %d\n", failed)
}

// Must panics if there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Equal panics if what was got is not what was wanted.
func Equal(what string, got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
}

// Refused panics if the error is not the one that was wanted.
func Refused(got error, want error) {
	if !errors.Is(got, want) {
		panic(fmt.Sprintf("the error is %v, not %v", got, want))
	}
}
