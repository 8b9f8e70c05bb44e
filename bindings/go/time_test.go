package zcrm

import (
	"testing"
	"time"
)

// Whatever was read before, and whatever the zone of the machine is.
func TestTimesAreThoseThatTimeParseGives(t *testing.T) {
	texts := []string{
		"2025-12-22T13:14:47+05:30", "2025-06-22T13:14:47+05:30", "2025-12-22T13:14:47+01:00", "2025-06-22T13:14:47+02:00",
		"2025-12-22T13:14:47Z", "2025-12-22T13:14:47+00:00", "2025-12-22T13:14:47-08:00", "2025-12-22", "", "2025-13-22T13:14:47+05:30",
	}
	for range 2 {
		for _, text := range texts {
			want, _ := time.Parse(time.RFC3339, text)
			got := timeOf(text)
			if !got.Equal(want) || got.String() != want.String() || got.Location().String() != want.Location().String() {
				t.Errorf("%q is %v (%v), not %v (%v)", text, got, got.Location(), want, want.Location())
			}
		}
	}
}
