// A Bento with the components of zohocrm. What else it can do is what is imported here.
package main

import (
	"context"

	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/io"
	_ "github.com/warpstreamlabs/bento/public/components/nats"
	_ "github.com/warpstreamlabs/bento/public/components/prometheus"
	_ "github.com/warpstreamlabs/bento/public/components/pure"
	_ "github.com/warpstreamlabs/bento/public/components/redis"

	_ "github.com/zcrm/zcrm/examples/bento/zohocrm"
)

func main() { service.RunCLI(context.Background()) }
