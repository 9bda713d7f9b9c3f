{
  'variables': {
    # Warnings stop our own builds, never a user's: the npm package has no test folder.
    'werror%': '<!(node -p "+require(\'fs\').existsSync(\'test/tsconfig.json\')")',
    # A -fsanitize= list; scripts/test-asan.mjs sets it.
    'sanitize%': '',
  },
  'targets': [
    {
      'target_name': 'afunix',
      'conditions': [
        [
          'OS!="linux"',
          { 'type': 'none' },
          {
            # CMakeLists.txt reads the same list.
            'sources': ['<!@(node -p "require(\'fs\').readFileSync(\'native/sources.txt\', \'utf8\')")'],
          },
        ],
        ['werror==1', { 'cflags_cc': ['-Werror'] }],
        [
          'sanitize!=""',
          {
            'cflags': [
              '-fsanitize=<(sanitize)',
              '-fno-sanitize-recover=all',
              '-fno-omit-frame-pointer',
              '-g',
            ],
            'ldflags': ['-fsanitize=<(sanitize)'],
          },
        ],
      ],
      'include_dirs': ['native'],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
      ],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-std=gnu++2a'],
      'cflags_cc': [
        '-std=c++20',
        '-fno-exceptions',
        '-fno-rtti',
        '-fvisibility=hidden',
        '-fvisibility-inlines-hidden',
        # -isystem: our warnings are for our files.
        '-isystem<!(node -p "require(\'path\').resolve(require(\'node-addon-api\').include_dir)")',
        '-Wall',
        '-Wextra',
        '-Wshadow',
        '-Wconversion',
        '-Wnon-virtual-dtor',
        '-Woverloaded-virtual',
        '-Wimplicit-fallthrough',
      ],
      # nodelete: after its worker is gone, code of ours may still be on a stack or in a libuv queue.
      'ldflags': ['-Wl,-z,nodelete', '-Wl,-z,now', '-Wl,-z,relro'],
    },
  ],
}
