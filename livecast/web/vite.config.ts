import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Each folder with a `main.tsx` is a page, with a style sheet of its name; what pages have in common is in `shared`. */
const PAGES = readdirSync(here('.')).filter((name) => existsSync(here(`${name}/main.tsx`)));

/** The pages' HTML, which is the same but for the name: `shared/page.html`. */
const template = (): Plugin => {
  const page = (id: string) => PAGES.find((name) => id === here(`${name}/index.html`));
  return {
    name: 'livecast-pages',
    enforce: 'pre',
    resolveId: (id) => (page(id) ? id : null),
    load: (id) => {
      const name = page(id);
      return name ? readFileSync(here('shared/page.html'), 'utf8').replaceAll('{page}', name) : null;
    },
  };
};

/** The pages. Everything comes from the node itself: no other host, no script or style inside of HTML. */
export default defineConfig({
  root: here('.'),
  base: '/',
  plugins: [template()],
  resolve: { alias: { '@livecast/client': here('client/src/index.ts') } },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // data: addresses are nothing that the policy of the pages allows
    modulePreload: { polyfill: false }, // it would be a script inside of HTML
    rollupOptions: { input: Object.fromEntries(PAGES.map((name) => [name, here(`${name}/index.html`)])) },
  },
});
