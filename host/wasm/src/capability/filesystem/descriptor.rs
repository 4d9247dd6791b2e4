//! The functions of `wasi:filesystem/types`: each asks the grant, then WASI's own implementation.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::Tree;
use super::measure::LEAST;
use super::room::cost;
use super::stream::Metered;

type Open = Resource<Descriptor>;

impl types::Host for Tree<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi().filesystem_error_code(error)
    }
}

impl Tree<'_> {
    /// Only files and directories are opened: a pipe nobody writes to would keep a thread of the host for ever.
    async fn check_kind(&mut self, of: &Open, follow: PathFlags, path: &str, options: OpenFlags) -> FsResult<()> {
        let there = self.wasi().stat_at(Resource::new_borrow(of.rep()), follow, path.to_owned()).await;
        match there.map(|about| about.type_) {
            Ok(DescriptorType::Directory | DescriptorType::RegularFile | DescriptorType::SymbolicLink) => Ok(()),
            Ok(_) => Err(ErrorCode::Unsupported.into()),
            Err(_) if options.contains(OpenFlags::CREATE) => self.take(of, LEAST).await.map(drop),
            // opening says why
            Err(_) => Ok(()),
        }
    }

    fn metered(&mut self, of: &Open, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let Some(room) = self.root(of)?.room.clone() else { return Ok(stream) };
        let inner = self.table.delete(stream)?;
        Ok(self.table.push(Metered::wrap(inner, room))?)
    }

    /// What is moved or linked stays below the directory that was granted, whose quota it counts against.
    fn check_same_root(&self, one: &Open, other: &Open) -> FsResult<()> {
        if self.files.below.get(&one.rep()) == self.files.below.get(&other.rep()) { Ok(()) } else { Err(ErrorCode::CrossDevice.into()) }
    }
}

fn changes(options: OpenFlags, flags: DescriptorFlags) -> bool {
    options.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
}

impl HostDescriptor for Tree<'_> {
    async fn open_at(&mut self, of: Open, follow: PathFlags, path: String, options: OpenFlags, flags: DescriptorFlags) -> FsResult<Open> {
        match changes(options, flags) {
            true => self.writable(&of, "write", &path)?,
            false => self.root(&of)?,
        };
        self.check_kind(&of, follow, &path, options).await?;
        let below = self.files.below[&of.rep()];
        let opened = self.wasi().open_at(Resource::new_borrow(of.rep()), follow, path.clone(), options, flags).await;
        let opened = self.judged(&of, "open", &path, opened)?;
        self.files.below.insert(opened.rep(), below);
        if flags.contains(DescriptorFlags::WRITE)
            && let Some(room) = &self.root(&of)?.room
            && let Descriptor::File(file) = self.table.get(&opened)?
        {
            room.opened(&file.file);
        }
        if options.contains(OpenFlags::TRUNCATE) {
            self.freed(&of);
        }
        Ok(opened)
    }

    fn drop(&mut self, of: Open) -> wasmtime::Result<()> {
        self.files.below.remove(&of.rep());
        HostDescriptor::drop(&mut self.wasi(), of)
    }

    async fn read(&mut self, of: Open, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        self.root(&of)?;
        self.wasi().read(of, length, offset).await
    }

    fn read_via_stream(&mut self, of: Open, offset: u64) -> FsResult<Resource<DynInputStream>> {
        self.root(&of)?;
        self.wasi().read_via_stream(of, offset)
    }

    async fn write(&mut self, of: Open, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.writable(&of, "write", "a file")?;
        let _charge = self.take(&of, cost(bytes.len())).await?;
        self.wasi().write(of, bytes, offset).await
    }

    fn write_via_stream(&mut self, of: Open, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        self.writable(&of, "write", "a file")?;
        let stream = self.wasi().write_via_stream(Resource::new_borrow(of.rep()), offset)?;
        self.metered(&of, stream)
    }

    fn append_via_stream(&mut self, of: Open) -> FsResult<Resource<DynOutputStream>> {
        self.writable(&of, "write", "a file")?;
        let stream = self.wasi().append_via_stream(Resource::new_borrow(of.rep()))?;
        self.metered(&of, stream)
    }

    async fn set_size(&mut self, of: Open, size: u64) -> FsResult<()> {
        self.writable(&of, "resize", "a file")?;
        self.wasi().set_size(Resource::new_borrow(of.rep()), size).await?;
        self.freed(&of);
        Ok(())
    }

    async fn set_times(&mut self, of: Open, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        self.writable(&of, "set the times of", "a file")?;
        self.wasi().set_times(of, accessed, modified).await
    }

    async fn set_times_at(&mut self, of: Open, follow: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        self.writable(&of, "set the times of", &path)?;
        let set = self.wasi().set_times_at(Resource::new_borrow(of.rep()), follow, path.clone(), accessed, modified).await;
        self.judged(&of, "set the times of", &path, set)
    }

    async fn create_directory_at(&mut self, of: Open, path: String) -> FsResult<()> {
        self.writable(&of, "make", &path)?;
        let _charge = self.take(&of, LEAST).await?;
        let made = self.wasi().create_directory_at(Resource::new_borrow(of.rep()), path.clone()).await;
        self.judged(&of, "make", &path, made)
    }

    async fn symlink_at(&mut self, of: Open, target: String, path: String) -> FsResult<()> {
        self.writable(&of, "link", &path)?;
        let _charge = self.take(&of, LEAST).await?;
        let made = self.wasi().symlink_at(Resource::new_borrow(of.rep()), target, path.clone()).await;
        self.judged(&of, "link", &path, made)
    }

    async fn link_at(&mut self, of: Open, follow: PathFlags, from: String, other: Open, to: String) -> FsResult<()> {
        self.writable(&of, "link", &from)?;
        self.writable(&other, "link", &to)?;
        self.check_same_root(&of, &other)?;
        let _charge = self.take(&other, LEAST).await?;
        let made = self.wasi().link_at(Resource::new_borrow(of.rep()), follow, from.clone(), other, to).await;
        self.judged(&of, "link", &from, made)
    }

    async fn rename_at(&mut self, of: Open, from: String, other: Open, to: String) -> FsResult<()> {
        self.writable(&of, "rename", &from)?;
        self.writable(&other, "rename", &to)?;
        self.check_same_root(&of, &other)?;
        let renamed = self.wasi().rename_at(Resource::new_borrow(of.rep()), from.clone(), other, to).await;
        self.judged(&of, "rename", &from, renamed)?;
        self.freed(&of);
        Ok(())
    }

    async fn unlink_file_at(&mut self, of: Open, path: String) -> FsResult<()> {
        self.writable(&of, "remove", &path)?;
        let removed = self.wasi().unlink_file_at(Resource::new_borrow(of.rep()), path.clone()).await;
        self.judged(&of, "remove", &path, removed)?;
        self.freed(&of);
        Ok(())
    }

    async fn remove_directory_at(&mut self, of: Open, path: String) -> FsResult<()> {
        self.writable(&of, "remove", &path)?;
        let removed = self.wasi().remove_directory_at(Resource::new_borrow(of.rep()), path.clone()).await;
        self.judged(&of, "remove", &path, removed)?;
        self.freed(&of);
        Ok(())
    }

    async fn readlink_at(&mut self, of: Open, path: String) -> FsResult<String> {
        self.root(&of)?;
        let read = self.wasi().readlink_at(Resource::new_borrow(of.rep()), path.clone()).await;
        self.judged(&of, "read", &path, read)
    }

    async fn stat_at(&mut self, of: Open, follow: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.root(&of)?;
        let about = self.wasi().stat_at(Resource::new_borrow(of.rep()), follow, path.clone()).await;
        self.judged(&of, "look at", &path, about)
    }

    async fn metadata_hash_at(&mut self, of: Open, follow: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        self.root(&of)?;
        let hash = self.wasi().metadata_hash_at(Resource::new_borrow(of.rep()), follow, path.clone()).await;
        self.judged(&of, "look at", &path, hash)
    }

    async fn read_directory(&mut self, of: Open) -> FsResult<Resource<ReaddirIterator>> {
        self.root(&of)?;
        self.wasi().read_directory(of).await
    }

    async fn stat(&mut self, of: Open) -> FsResult<DescriptorStat> {
        self.root(&of)?;
        self.wasi().stat(of).await
    }

    async fn metadata_hash(&mut self, of: Open) -> FsResult<MetadataHashValue> {
        self.root(&of)?;
        self.wasi().metadata_hash(of).await
    }

    async fn get_flags(&mut self, of: Open) -> FsResult<DescriptorFlags> {
        self.root(&of)?;
        self.wasi().get_flags(of).await
    }

    async fn get_type(&mut self, of: Open) -> FsResult<DescriptorType> {
        self.root(&of)?;
        self.wasi().get_type(of).await
    }

    async fn advise(&mut self, of: Open, offset: u64, length: u64, advice: Advice) -> FsResult<()> {
        self.root(&of)?;
        self.wasi().advise(of, offset, length, advice).await
    }

    async fn sync(&mut self, of: Open) -> FsResult<()> {
        self.root(&of)?;
        self.wasi().sync(of).await
    }

    async fn sync_data(&mut self, of: Open) -> FsResult<()> {
        self.root(&of)?;
        self.wasi().sync_data(of).await
    }

    async fn is_same_object(&mut self, one: Open, other: Open) -> wasmtime::Result<bool> {
        self.wasi().is_same_object(one, other).await
    }
}

impl HostDirectoryEntryStream for Tree<'_> {
    /// WASI's own asks what each name is and fails with the name that somebody removed in between: such a name is passed over.
    async fn read_directory_entry(&mut self, stream: Resource<ReaddirIterator>) -> FsResult<Option<DirectoryEntry>> {
        loop {
            match self.wasi().read_directory_entry(Resource::new_borrow(stream.rep())).await {
                Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => {}
                answer => return answer,
            }
        }
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi(), stream)
    }
}
