import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The pages. Everything comes from the node itself: no other host, no script or style inside of HTML. */
export default defineConfig({
  root: here('.'),
  base: '/',
  resolve: { alias: { '@livecast/client': here('client/src/index.ts') } },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // data: addresses are nothing that the policy of the pages allows
    modulePreload: { polyfill: false }, // it would be a script inside of HTML
    rollupOptions: { input: { viewer: here('viewer/index.html'), entry: here('entry/index.html') } },
  },
});
