// Drives Caddy with Nango's Node SDK, as it comes from npm, through everything
// that an integration and its connections go through.

import { connect, describe, disconnect, find, rotate } from './connections.js';
import { call, override, retry } from './gateway.js';
import { create, remove } from './integrations.js';
import { refused } from './refusals.js';

for (const chapter of [create, connect, find, describe, call, retry, override, refused, rotate, disconnect, remove]) {
    await chapter();
}
