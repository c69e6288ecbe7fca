import { defineConfig } from "vite";

// One ES module with a fixed name: TensorBoard imports it and calls its `render()`.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
    rollupOptions: {
      input: "src/index.ts",
      preserveEntrySignatures: "strict",
      output: {
        format: "es",
        entryFileNames: "index.js",
        codeSplitting: false,
        comments: { legal: true }, // the licence of what the bundle holds
      },
    },
  },
});
