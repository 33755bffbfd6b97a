import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { '@livecast/client': fileURLToPath(new URL('client/src/index.ts', import.meta.url)) } },
  test: { include: ['**/test/*.test.ts'], environment: 'node', testTimeout: 10_000 },
});
