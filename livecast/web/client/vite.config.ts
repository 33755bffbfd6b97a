import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The client as one file, everything in it: for `<script type="module">`, for npm, and for Node. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  build: {
    outDir: fileURLToPath(new URL('../dist/sdk', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    minify: true,
    lib: { entry: 'src/index.ts', formats: ['es'], fileName: () => 'livecast.js' },
  },
});
